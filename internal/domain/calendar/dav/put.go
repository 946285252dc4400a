package dav

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/events"
)

func (h *Server) put(w http.ResponseWriter, r *http.Request) error {
	p, err := find(r.Context(), r.PathValue("path"))
	if err != nil {
		return err
	}
	if p.kind != object {
		return fault.MethodNotAllowed("an event is stored under a name in a calendar")
	}
	if given := r.Header.Get("Content-Type"); given != "" {
		if kind, _, err := mime.ParseMediaType(given); err != nil || kind != "text/calendar" {
			return refuse(w, http.StatusUnsupportedMediaType, nsCalDAV, "supported-calendar-data", "the body must be text/calendar")
		}
	}
	c, err := h.events.Calendar(r.Context(), p.subscriber)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, known := fault.Of(err); known {
			return err
		}
		return fault.Invalid("the body could not be read").With(err)
	}
	made, created, err := c.Put(r.Context(), p.name, body, condition(r))
	if refusal, is := errors.AsType[*events.RefusalError](err); is {
		status := http.StatusForbidden
		if fault.Is(err, fault.CodeConflict) {
			status = http.StatusConflict
		}
		return refuse(w, status, nsCalDAV, refusal.Precondition, fault.Message(err))
	}
	if err != nil {
		return err
	}
	// what is not kept as it was sent must be read again (RFC 4791 §5.3.4)
	if bytes.Equal(made.File(), body) {
		w.Header().Set("ETag", made.ETag())
	}
	status := http.StatusNoContent
	if created {
		w.Header().Set("Location", escape(p.path()))
		status = http.StatusCreated
	}
	w.WriteHeader(status)
	return nil
}
