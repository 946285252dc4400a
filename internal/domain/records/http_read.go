package records

import (
	"net/http"
	"strconv"

	"ward/internal/base/id"
)

// handleRead answers GET [type]/[id]. It is the most frequent request of all, so it goes straight from the cache to the
// wire when nothing unusual is asked for.
func (s *Service) handleRead(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RawQuery != "" {
		return s.handlePerform(w, r)
	}
	content, err := negotiate(r.Header, "")
	if err != nil {
		return err
	}
	typ, resourceID := r.PathValue("type"), r.PathValue("id")
	if err := s.checkType(typ); err != nil {
		return err
	}
	if !id.Valid(resourceID) {
		return errNoID(resourceID)
	}
	v, err := s.Read(r.Context(), typ, resourceID)
	if err != nil {
		return err
	}
	if err := s.recordRead(r.Context(), v); err != nil {
		return err
	}
	h := w.Header()
	values := &[3]string{v.ETag(), v.Updated().Format(http.TimeFormat), strconv.Itoa(len(v.JSON))}
	h["Etag"], h["Last-Modified"] = values[0:1:1], values[1:2:2]
	if notModified(r.Header, v) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h["Content-Type"], h["Content-Length"] = content, values[2:3:3]
	_, err = w.Write(v.JSON)
	return err
}

// handlePerform answers any interaction without a body.
func (s *Service) handlePerform(w http.ResponseWriter, r *http.Request) error {
	in, v, err := s.from(r)
	if err != nil {
		return err
	}
	in.version = r.PathValue("vid")
	if in.method != http.MethodGet && in.method != http.MethodHead {
		in.query = criteriaOnly(in.query)
	}
	a, err := s.perform(r.Context(), &in)
	if err != nil {
		return err
	}
	return s.send(w, &in, v, &a)
}

// handleHistory answers GET _history of a resource, a type or the system.
func (s *Service) handleHistory(w http.ResponseWriter, r *http.Request) error {
	in, v, err := s.from(r)
	if err != nil {
		return err
	}
	in.history = true
	a, err := s.perform(r.Context(), &in)
	if err != nil {
		return err
	}
	return s.send(w, &in, v, &a)
}
