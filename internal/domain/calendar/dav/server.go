package dav

import (
	"net/http"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/events"
	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
)

// Server answers CalDAV for the calendars of events.
type Server struct{ events *events.Service }

// New is the server for the events.
func New(e *events.Service) *Server { return &Server{e} }

// Module is the routes.
func (h *Server) Module() module.Module {
	m := module.Module{Name: "caldav"}
	const (
		path        = module.TenantPrefix + "caldav/{path...}"
		read, write = access.CalendarRead, access.CalendarWrite
	)
	for _, r := range []struct {
		method, permission, summary string
		limit                       int64
		handle                      func(w http.ResponseWriter, r *http.Request) error
	}{
		{"OPTIONS", read, "CalDAV: what can be done", 1 << 10, h.options},
		{"PROPFIND", read, "CalDAV: properties of calendars and events", 64 << 10, h.propfind},
		{"PROPPATCH", read, "CalDAV: change properties, none of which can be", 64 << 10, h.proppatch},
		{"REPORT", read, "CalDAV: events by time, by name, or by what changed", 8 << 20, h.report},
		{"GET", read, "CalDAV: an event as iCalendar", 1 << 10, h.get},
		{"PUT", write, "CalDAV: store an event", maxFile, h.put},
		{"DELETE", write, "CalDAV: delete an event", 1 << 10, h.delete},
	} {
		route := module.Route{
			Method: r.method, Pattern: path, Target: module.API, Lane: module.Interactive, Permission: r.permission, Basic: true, BodyLimit: r.limit,
			Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: r.summary, Handler: r.handle,
		}
		m.Routes = append(m.Routes, route)
		if r.method == "OPTIONS" || r.method == "PROPFIND" { // the address is often typed without its last slash, and not all follow redirects
			route.Pattern = module.TenantPrefix + "caldav"
			m.Routes = append(m.Routes, route)
		}
	}
	for _, method := range []string{"GET", "PROPFIND"} {
		m.Routes = append(m.Routes, module.Route{
			Method: method, Pattern: module.TenantPrefix + ".well-known/caldav", Target: module.API, Lane: module.Interactive, Public: true, BodyLimit: 64 << 10,
			Objective: module.Objective{Percentile: 0.95, Latency: 100 * time.Millisecond}, Summary: "CalDAV: where it is (RFC 6764)", Handler: wellKnown,
		})
	}
	return m
}

// wellKnown says where CalDAV begins. It tells nothing that needs a right.
func wellKnown(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Location", "/t/"+r.PathValue("tenant")+"/caldav/")
	w.WriteHeader(http.StatusMovedPermanently)
	return nil
}

func (h *Server) options(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("DAV", "1, 3, calendar-access")
	w.Header().Set("Allow", "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, REPORT")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// here is the resource of a request's path.
func (h *Server) here(r *http.Request) (*resource, error) {
	p, err := find(r.Context(), r.PathValue("path"))
	if err != nil {
		return nil, err
	}
	return h.open(r.Context(), p)
}

func (h *Server) get(w http.ResponseWriter, r *http.Request) error {
	at, err := h.here(r)
	if err != nil {
		return err
	}
	if at.kind != object {
		return fault.MethodNotAllowed("collections are read by PROPFIND and REPORT")
	}
	head := w.Header()
	head.Set("ETag", at.event.ETag())
	if in(r.Header.Get("If-None-Match"), at.event.ETag()) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if err := at.calendar.Seen(r.Context(), at.event.Event); err != nil {
		return err
	}
	head.Set("Content-Type", contentType)
	head.Set("Content-Disposition", "attachment") // nobody's browser shows what others wrote
	if t := at.event.Updated(); !t.IsZero() {
		head.Set("Last-Modified", t.UTC().Format(http.TimeFormat))
	}
	_, _ = w.Write(at.event.File())
	return nil
}

// tags are the ETags of a header of conditions (RFC 9110 §13.1).
func tags(header string) (list []string) {
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, strings.TrimPrefix(part, "W/"))
		}
	}
	return list
}

func in(header, tag string) bool {
	for _, t := range tags(header) {
		if t == tag || t == "*" {
			return true
		}
	}
	return false
}

func condition(r *http.Request) events.Condition {
	return events.Condition{Match: tags(r.Header.Get("If-Match")), NoneMatch: tags(r.Header.Get("If-None-Match"))}
}

func (h *Server) delete(w http.ResponseWriter, r *http.Request) error {
	p, err := find(r.Context(), r.PathValue("path"))
	if err != nil {
		return err
	}
	if p.kind != object {
		return fault.Denied("calendars can't be deleted")
	}
	c, err := h.events.Calendar(r.Context(), p.subscriber)
	if err != nil {
		return err
	}
	if err := c.Delete(r.Context(), p.name, condition(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
