package records

import (
	"context"
	"net/http"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/kernel/access"
)

// interaction is one FHIR interaction as it is asked for, by an HTTP request or by an entry of a batch or transaction.
type interaction struct {
	method string
	target
	base string // the service base URL, without a slash at the end

	body       []byte
	bodyFormat fhir.BodyFormat

	ifMatch         string
	ifNoneMatch     []string
	ifModifiedSince string
	ifNoneExist     string
	prefer          preference

	// inside is the transaction whose entry this is; nil outside of one. Interactions inside are reads.
	inside db.Querier
	entry  bool // an entry of a batch or transaction
}

// answer is what came of an interaction.
type answer struct {
	status  int
	version *Version // the resource, or what its validators are taken from
	body    []byte   // JSON of what is no stored version: a Bundle, Parameters, an OperationOutcome
	etag    string   // of body, where there is no version
	// wrote says that the interaction was a write, to which Prefer applies.
	wrote    bool
	created  bool           // Location is sent
	existed  bool           // a conditional create that found its resource
	text     string         // what was done, for Prefer: return=OperationOutcome
	warnings []fault.Detail // for the same
}

// read runs fn on the transaction that the interaction is part of, else on the database.
func (s *Service) reading(ctx context.Context, in *interaction, fn func(ctx context.Context, q db.Querier) error) error {
	if in.inside != nil {
		return fn(ctx, in.inside)
	}
	return s.db.Read(ctx, fn)
}

// perform carries out any interaction but a batch or transaction.
func (s *Service) perform(ctx context.Context, in *interaction) (answer, error) {
	a, err := s.carryOut(ctx, in)
	if err == nil {
		err = s.recordAnswer(ctx, in, &a)
	}
	return a, err
}

func (s *Service) carryOut(ctx context.Context, in *interaction) (answer, error) {
	// The tenant's search parameters are read now, if they have not been: a call on the database inside of another one
	// could wait for itself.
	if _, err := s.registry(ctx); err != nil {
		return answer{}, err
	}
	ctx, err := s.enter(ctx)
	if err != nil {
		return answer{}, err
	}
	if in.operation != "" {
		return s.operate(ctx, in)
	}
	switch in.method {
	case http.MethodGet, http.MethodHead:
		switch {
		case in.metadata:
			return s.capabilities(ctx, in)
		case in.history:
			return s.historyOf(ctx, in)
		case in.version != "":
			return s.readVersion(ctx, in)
		case in.members != "" || in.id == "":
			return s.searchFor(ctx, in)
		default:
			return s.readCurrent(ctx, in)
		}
	case http.MethodPost:
		switch {
		case in.search:
			return s.searchFor(ctx, in)
		case in.typ != "" && in.id == "":
			return s.create(ctx, in)
		}
	case http.MethodPut:
		if in.typ != "" && in.simple() {
			return s.update(ctx, in)
		}
	case http.MethodPatch:
		if in.typ != "" && in.simple() {
			return s.patch(ctx, in)
		}
	case http.MethodDelete:
		if in.typ != "" && in.simple() {
			return s.remove(ctx, in)
		}
	}
	return answer{}, fault.MethodNotAllowed("%s is not offered for a URL of this shape", in.method)
}

// simple tells whether the target is a type or a resource and nothing below it.
func (t *target) simple() bool {
	return !t.history && t.version == "" && t.members == "" && !t.search && !t.metadata
}

func (s *Service) readCurrent(ctx context.Context, in *interaction) (answer, error) {
	v, err := s.currentFor(ctx, in)
	if err != nil {
		return answer{}, err
	}
	return in.unlessKnown(v), nil
}

// currentFor reads the current version for who may see it.
func (s *Service) currentFor(ctx context.Context, in *interaction) (v *Version, err error) {
	if in.inside == nil {
		return s.Read(ctx, in.typ, in.id)
	}
	if err := mayAtAll(access.Of(ctx), in.typ, access.Read); err != nil {
		return nil, err
	}
	if v, err = s.read(ctx, in.inside, in.typ, in.id); err == nil {
		err = s.visible(ctx, v, access.Read)
	}
	if err == nil {
		err = v.there()
	}
	return v, err
}

func (s *Service) readVersion(ctx context.Context, in *interaction) (answer, error) {
	if err := mayAtAll(access.Of(ctx), in.typ, access.Read); err != nil {
		return answer{}, err
	}
	number := versionNumber(in.version)
	if number < 1 {
		return answer{}, fault.NotFound("this %s has no version %s; versions are numbers from 1", in.typ, printable(in.version))
	}
	var v *Version
	err := s.reading(ctx, in, func(ctx context.Context, q db.Querier) (err error) {
		v, err = s.versionRead(ctx, q, in.typ, in.id, number)
		return err
	})
	switch {
	case err != nil:
		return answer{}, err
	case v.Deleted():
		return answer{}, fault.Gone("version %d of this %s is its deletion", number, in.typ)
	}
	return in.unlessKnown(v), nil
}

// unlessKnown answers 304 where the client has the version already.
func (in *interaction) unlessKnown(v *Version) answer {
	if len(in.ifNoneMatch) > 0 || in.ifModifiedSince != "" {
		h := http.Header{}
		if len(in.ifNoneMatch) > 0 {
			h["If-None-Match"] = in.ifNoneMatch
		}
		if in.ifModifiedSince != "" {
			h.Set("If-Modified-Since", asHTTPTime(in.ifModifiedSince))
		}
		if notModified(h, v) {
			return answer{status: http.StatusNotModified, version: v}
		}
	}
	return answer{status: http.StatusOK, version: v}
}

// asHTTPTime spells an instant as HTTP does: Bundle.entry.request.ifModifiedSince is an instant.
func asHTTPTime(s string) string {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC().Format(http.TimeFormat)
	}
	return s
}
