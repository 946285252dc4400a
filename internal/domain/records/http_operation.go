package records

import (
	"net/http"
	"slices"
	"strings"

	"ward/internal/format/fhir"
)

// handleOperation answers GET and POST of an operation. path is where it is offered, below the base: the type stands in
// it where the operation is one of certain types only.
func (s *Service) handleOperation(code, path string) func(w http.ResponseWriter, r *http.Request) error {
	fixed, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if strings.HasPrefix(fixed, "{") {
		fixed = ""
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		in, v, err := s.from(r)
		if err != nil {
			return err
		}
		in.operation = code
		if fixed != "" {
			in.typ = fixed
		}
		if r.Method == http.MethodPost {
			if r.ContentLength != 0 {
				if in.bodyFormat, err = bodyFormat(r.Header, fhir.ResourceBody); err != nil {
					return err
				}
			}
			if in.body, err = readBody(r); err != nil {
				return err
			}
		}
		a, err := s.perform(r.Context(), &in)
		if err != nil {
			return err
		}
		return s.send(w, &in, view{View: fhir.View{Pretty: v.Pretty}, content: v.content}, &a)
	}
}

// handleMetadata answers the capabilities interaction (FHIR R4 http.html#capabilities).
func (s *Service) handleMetadata(w http.ResponseWriter, r *http.Request) error {
	in, v, err := s.from(r)
	if err != nil {
		return err
	}
	in.metadata = true
	a, err := s.perform(r.Context(), &in)
	if err != nil {
		return err
	}
	if slices.Contains(in.ifNoneMatch, a.etag) {
		w.Header()["Etag"] = []string{a.etag}
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return s.send(w, &in, v, &a)
}
