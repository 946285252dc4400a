package records

import (
	"net/http"
	"strconv"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

// entryInteraction turns an entry of a batch or transaction into the interaction that it asks for.
func (s *Service) entryInteraction(doc *jsontape.Doc, e *bundleEntry, base string, prefer preference) (interaction, error) {
	t, err := s.readTarget(e.url, base)
	if err != nil {
		return interaction{}, err
	}
	in := interaction{
		method: e.method, target: t, base: base, body: e.resource, bodyFormat: fhir.ResourceBody, prefer: prefer, entry: true,
		ifMatch: e.ifMatch, ifModifiedSince: e.ifModifiedSince, ifNoneExist: e.ifNoneExist,
	}
	if e.ifNoneMatch != "" {
		in.ifNoneMatch = []string{e.ifNoneMatch}
	}
	if e.method == http.MethodPatch && e.node != jsontape.Invalid {
		err = s.entryPatch(doc, e, &in)
	}
	return in, err
}

// responded is the entry of a batch-response or transaction-response (FHIR R4 http.html#transaction-response).
func responded(in *interaction, a *answer) *fhir.BundleEntry {
	e := &fhir.BundleEntry{Response: &fhir.EntryResponse{Status: statusLine(a.status)}}
	v := a.version
	unchanged := a.status == http.StatusNotModified
	if v != nil {
		e.Response.ETag, e.Response.LastModified = v.ETag(), v.Updated()
		if !v.Deleted() && !unchanged {
			e.FullURL = in.base + "/" + v.Type + "/" + v.ID
			if a.wrote {
				e.Response.Location = v.Type + "/" + v.ID + "/_history/" + strconv.FormatInt(v.Number, 10)
			}
		}
	}
	switch {
	case unchanged || in.method == http.MethodHead:
	case a.body != nil:
		e.Resource = a.body
	case v != nil && !v.Deleted() && (!a.wrote || in.prefer.returns == returnRepresentation):
		e.Resource = v.JSON
	}
	if a.wrote && in.prefer.returns == returnOutcome {
		e.Response.Outcome = a.outcome(in)
	}
	return e
}

// failed is the entry of a batch-response for an interaction that failed.
func failed(err error) *fhir.BundleEntry {
	return &fhir.BundleEntry{Response: &fhir.EntryResponse{
		Status: statusLine(fault.CodeOf(err).Status()), Outcome: fhir.AppendOutcome(nil, err),
	}}
}

func statusLine(status int) string { return strconv.Itoa(status) + " " + http.StatusText(status) }

// outcome is the OperationOutcome of a successful interaction, for Prefer: return=OperationOutcome.
func (a *answer) outcome(in *interaction) []byte {
	issues := append([]fault.Detail{{
		Severity: "information", Kind: "informational", Message: in.typ + ": " + a.text,
	}}, a.warnings...)
	return fhir.AppendIssues(nil, issues...)
}

// isWrite tells whether an interaction changes anything.
func (in *interaction) isWrite() bool {
	switch in.method {
	case http.MethodGet, http.MethodHead:
		return false
	case http.MethodPost:
		return !in.search && (in.operation == "" || !readOnly(in.operation))
	}
	return true
}

// baseOf is the service base URL of a request.
func (s *Service) baseOf(r *http.Request) string {
	tenant := r.PathValue("tenant")
	if s.baseURL != "" {
		return strings.TrimSuffix(s.baseURL, "/") + "/t/" + tenant + "/fhir"
	}
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + "/t/" + tenant + "/fhir"
}
