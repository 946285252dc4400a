package dav

import (
	"net/http"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/events"
)

func (h *Server) propfind(w http.ResponseWriter, r *http.Request) error {
	at, err := h.here(r)
	if err != nil {
		return err
	}
	body, err := readXML(r)
	if err != nil {
		return err
	}
	if body != nil && body.Name != dav("propfind") {
		return fault.Invalid("the body must be a DAV:propfind")
	}
	below := false
	switch r.Header.Get("Depth") {
	case "0":
	case "1":
		below = true
	case "", "infinity":
		return refuse(w, http.StatusForbidden, nsDAV, "propfind-finite-depth", "Depth must be 0 or 1")
	default:
		return fault.Invalid("Depth must be 0 or 1")
	}
	wants := want(body)
	list := []*resource{at}
	if below {
		members, err := h.members(r, at)
		if err != nil {
			return err
		}
		list = append(list, members...)
	}
	return multistatus(w, list, wants, "")
}

// members are what is right below a collection.
func (h *Server) members(r *http.Request, at *resource) (list []*resource, err error) {
	add := func(p place) error {
		one, err := h.open(r.Context(), &p)
		if err == nil {
			list = append(list, one)
		}
		return err
	}
	below := *at.place
	switch at.kind {
	case root:
		for _, k := range []kind{principal, home} {
			below.kind = k
			if err := add(below); err != nil {
				return nil, err
			}
		}
	case home:
		for _, s := range at.subscribers() {
			below.kind, below.subscriber = calendar, s
			if err := add(below); err != nil && !fault.Is(err, fault.CodeNotFound) && !fault.Is(err, fault.CodeDenied) {
				return nil, err
			}
		}
	case calendar:
		found, err := at.calendar.List(r.Context())
		if err != nil {
			return nil, err
		}
		if err := at.calendar.Seen(r.Context(), ""); err != nil {
			return nil, err
		}
		list = at.all(found)
	default: // nothing is below
	}
	return list, nil
}

// all are events of the calendar.
func (r *resource) all(found []events.Object) []*resource {
	list := make([]*resource, len(found))
	for i := range found {
		list[i] = r.member(&found[i])
	}
	return list
}

// multistatus answers with what is wanted of resources. more is what comes after them.
func multistatus(w http.ResponseWriter, list []*resource, wants wanted, more string) error {
	d := newDocument("D:multistatus")
	for _, r := range list {
		if r.event != nil && !r.event.There() {
			d.gone(r.path())
			continue
		}
		if err := r.tell(d, wants); err != nil {
			return err
		}
	}
	d.raw(more)
	d.raw("</D:multistatus>\n")
	return d.send(w, http.StatusMultiStatus)
}

// gone writes that nothing is at a path.
func (d *document) gone(path string) { d.response(path, "404 Not Found") }

func (d *document) response(path, status string) {
	d.raw("<D:response>")
	d.href(path)
	d.element("D:status", "HTTP/1.1 "+status)
	d.raw("</D:response>\n")
}

// proppatch refuses each property: programs that would like to keep a colour here keep it themselves.
func (h *Server) proppatch(w http.ResponseWriter, r *http.Request) error {
	at, err := h.here(r)
	if err != nil {
		return err
	}
	body, err := readXML(r)
	if err != nil {
		return err
	}
	if body == nil || body.Name != dav("propertyupdate") {
		return fault.Invalid("the body must be a DAV:propertyupdate")
	}
	d := newDocument("D:multistatus")
	d.raw("<D:response>")
	d.href(at.path())
	d.raw("<D:propstat><D:prop>")
	for _, act := range body.children {
		for _, p := range want(act).names {
			d.empty(p)
		}
	}
	d.raw("</D:prop><D:status>HTTP/1.1 403 Forbidden</D:status><D:error><D:cannot-modify-protected-property/></D:error></D:propstat></D:response></D:multistatus>\n")
	return d.send(w, http.StatusMultiStatus)
}
