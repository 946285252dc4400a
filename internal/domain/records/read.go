package records

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/access"
)

const (
	selectByID      = `SELECT rid, version, seq, op, body FROM records_resource WHERE type = $1 AND id = $2`
	selectHistoric  = `SELECT rid, version, seq, op, body FROM records_history WHERE rid = $1 AND version = $2`
	selectFirstSeen = `SELECT rid, version, seq, op, body FROM records_history WHERE seq = $1 AND rid = $2`
)

// Read returns the current version of a resource.
//
// Errors: Denied when the principal may read none of the type, NotFound when there never was one or the principal may not see it, Gone
// when it is deleted.
func (s *Service) Read(ctx context.Context, typ, id string) (*Version, error) {
	r, err := s.rightsOf(ctx)
	if err != nil {
		return nil, err
	}
	if err := mayAtAll(r, typ, access.Read); err != nil {
		return nil, err
	}
	fromDB := func() (v *Version, err error) {
		err = s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
			v, err = s.read(ctx, q, typ, id)
			return err
		})
		return v, err
	}
	v, kept, err := s.answers.resource(ctx, typ, id, fromDB)
	if err != nil {
		return nil, err
	}
	registry, err := s.registry(ctx)
	if err != nil {
		return nil, err
	}
	ok, err := s.sees(registry, r, v, access.Read)
	switch {
	case err != nil:
		return nil, err
	case ok:
		return v, v.there()
	}
	s.hidden(ctx, typ)
	if kept { // what is not there is always looked up, so this takes as long
		if _, err := fromDB(); err != nil && !fault.Is(err, fault.CodeNotFound) {
			return nil, err
		}
	}
	return nil, notFound(typ)
}

// read returns the current version of a resource, also when that is a deletion. It errs with NotFound.
func (s *Service) read(ctx context.Context, q db.Querier, typ, id string) (*Version, error) {
	var v *Version
	err := q.Query(ctx, selectByID, func(r db.Row) (err error) {
		v, err = s.scanVersion(ctx, r, typ, id)
		return err
	}, s.number(typ), encodeID(id))
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, notFound(typ)
	}
	return v, nil
}

// versionRead returns one version of a resource, which may be a deletion. It errs with NotFound.
func (s *Service) versionRead(ctx context.Context, q db.Querier, typ, id string, number int64) (*Version, error) {
	v, err := s.read(ctx, q, typ, id)
	if err != nil {
		return nil, err
	}
	// What is seen of a resource's past is what may be seen of its present.
	if err := s.standing(ctx, q, v, access.Read); err != nil || v.Number == number {
		return v, err
	}
	var old *Version
	scan := func(r db.Row) (err error) {
		old, err = s.scanVersion(ctx, r, typ, id)
		return err
	}
	if number == 1 {
		err = q.Query(ctx, selectFirstSeen, scan, v.RID, v.RID)
	} else {
		err = q.Query(ctx, selectHistoric, scan, v.RID, number)
	}
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, fault.NotFound("this %s has no version %d; its versions are 1 to %d", typ, number, v.Number)
	}
	if old.Deleted() {
		return old, nil
	}
	return old, s.visible(ctx, old, access.Read)
}

func notFound(typ string) error { return fault.NotFound("there is no such %s", typ) }

func gone(typ string) error {
	return fault.Gone("this %s was deleted; its history can still be read", typ)
}
