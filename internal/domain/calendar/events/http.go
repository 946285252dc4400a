package events

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
)

// body reads a request's body strictly into v.
func body(r *http.Request, v any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		if tooLarge, is := errors.AsType[*http.MaxBytesError](err); is {
			return fault.TooLarge("the body is larger than %d bytes", tooLarge.Limit)
		}
		if _, known := fault.Of(err); known {
			return err
		}
		return fault.Invalid("the body could not be read").With(err)
	}
	return decode(b, v)
}

func send(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fault.Internal("an answer can't be written").With(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(b)
	return nil
}

// known is the version that the caller says it knows; 0 is any.
func known(r *http.Request) (int64, error) {
	text := r.Header.Get("If-Match")
	if text == "" || text == "*" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(text, "W/"), `"`), 10, 64)
	if err != nil || n < 1 {
		return 0, fault.Precondition("If-Match must be the ETag of an event")
	}
	return n, nil
}

// guarded is what the viewer may change.
func (s *Service) guarded(r *http.Request, v *viewer) guard { return s.guard(r.Context(), v) }

func (s *Service) guard(ctx context.Context, v *viewer) guard {
	return func(was *Event) error {
		if err := s.may(ctx, v, was.Subscribers, true); err != nil {
			return err
		}
		shown, err := s.shown(ctx, v, was)
		if err != nil {
			return err
		}
		if shown[0] != was {
			return fault.Denied("the event is private, or of others too: who sees all of it may change it")
		}
		return nil
	}
}

func (s *Service) handleCreate(w http.ResponseWriter, r *http.Request) error {
	var e Event
	if err := body(r, &e); err != nil {
		return err
	}
	v := viewerOf(r.Context())
	if err := s.may(r.Context(), &v, e.Subscribers, true); err != nil {
		return err
	}
	made, err := s.Create(r.Context(), &e)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(made.Version))
	w.Header().Set("Location", r.URL.Path+"/"+made.ID)
	return send(w, http.StatusCreated, made)
}

func (s *Service) handleRead(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Read(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := viewerOf(r.Context())
	if err := s.mayOne(r, &v, e); err != nil {
		return err
	}
	s.reads.Add(1)
	w.Header().Set("ETag", etag(e.Version))
	if r.Header.Get("If-None-Match") == etag(e.Version) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if err := s.seen(r.Context(), audit.Read, e.ID, e.Subscribers, ""); err != nil {
		return err
	}
	shown, err := s.shown(r.Context(), &v, e)
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, shown[0])
}

// mayOne fails with NotFound unless the viewer may see the calendar of one of the event's subscribers at least.
func (s *Service) mayOne(r *http.Request, v *viewer, e *Event) error {
	for _, subscriber := range e.Subscribers {
		if s.may(r.Context(), v, []string{subscriber}, false) == nil {
			return nil
		}
	}
	return fault.NotFound("there is no event with this id")
}

func (s *Service) handleUpdate(w http.ResponseWriter, r *http.Request) error {
	var e Event
	if err := body(r, &e); err != nil {
		return err
	}
	version, err := known(r)
	if err != nil {
		return err
	}
	v := viewerOf(r.Context())
	if err := s.may(r.Context(), &v, e.Subscribers, true); err != nil {
		return err
	}
	if _, err := s.Update(r.Context(), r.PathValue("id"), version, &e, s.guarded(r, &v)); err != nil {
		return err
	}
	w.Header().Set("ETag", etag(e.Version))
	return send(w, http.StatusOK, &e)
}

func (s *Service) handleDelete(w http.ResponseWriter, r *http.Request) error {
	version, err := known(r)
	if err != nil {
		return err
	}
	v := viewerOf(r.Context())
	if err := s.Delete(r.Context(), r.PathValue("id"), version, s.guarded(r, &v)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) handleEdit(w http.ResponseWriter, r *http.Request) error {
	var c Change
	if err := body(r, &c); err != nil {
		return err
	}
	version, err := known(r)
	if err != nil {
		return err
	}
	v := viewerOf(r.Context())
	list, err := s.Edit(r.Context(), r.PathValue("id"), version, &c, s.guarded(r, &v))
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, struct {
		Events []*Event `json:"events"`
	}{append([]*Event{}, list...)})
}
