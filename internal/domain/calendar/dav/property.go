package dav

import (
	"context"
	"encoding/xml"
	"net/http"
	"strconv"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/events"
)

// resource is what properties are asked of.
type resource struct {
	*place
	calendar *events.Calendar // of calendars and objects
	state    string           // of calendars: their sync token
	event    *events.Object   // of objects
	data     *calendarData    // how reports want the event; nil: it is not told
}

// property is one that some resources have.
type property struct {
	xml.Name
	kinds kind
	all   bool // told by allprop
	write func(d *document, r *resource) error
}

func dav(local string) xml.Name    { return xml.Name{Space: nsDAV, Local: local} }
func caldav(local string) xml.Name { return xml.Name{Space: nsCalDAV, Local: local} }

// maxFile is the largest file of an event, in bytes.
const maxFile = 1 << 20

// syncPrefix makes a sync token a URI (RFC 6578 §6.2).
const syncPrefix = "urn:ward:sync:"

func text(of func(r *resource) string) func(d *document, r *resource) error {
	return func(d *document, r *resource) error { d.text(of(r)); return nil }
}

func markup(of func(r *resource) string) func(d *document, r *resource) error {
	return func(d *document, r *resource) error { d.raw(of(r)); return nil }
}

func link(of func(r *resource) string) func(d *document, r *resource) error {
	return func(d *document, r *resource) error { d.href(of(r)); return nil }
}

// properties are all that there are.
//
//nolint:gochecknoglobals // constant table
var properties = []property{
	{dav("resourcetype"), anything, true, markup(func(r *resource) string {
		switch r.kind {
		case object:
			return ""
		case principal:
			return "<D:collection/><D:principal/>"
		case calendar:
			return "<D:collection/><C:calendar/>"
		default:
			return "<D:collection/>"
		}
	})},
	{dav("displayname"), collections, true, text(func(r *resource) string {
		if r.kind == calendar {
			return r.title(r.calendar)
		}
		return "Ward"
	})},
	{dav("current-user-principal"), anything, false, link(func(r *resource) string { return r.principalPath() })},
	{dav("principal-URL"), principal, false, link(func(r *resource) string { return r.principalPath() })},
	{dav("principal-collection-set"), anything, false, link(func(r *resource) string { return r.principalPath() })},
	{dav("owner"), anything, false, link(func(r *resource) string { return r.principalPath() })},
	{dav("current-user-privilege-set"), anything, false, markup(func(r *resource) string {
		privilege := func(name string) string { return "<D:privilege><D:" + name + "/></D:privilege>" }
		list := privilege("read") + privilege("read-current-user-privilege-set")
		if r.calendar != nil && r.calendar.Writable {
			list += privilege("write-content") + privilege("bind") + privilege("unbind")
		}
		return list
	})},
	{dav("supported-report-set"), collections, false, markup(func(r *resource) string {
		if r.kind != calendar {
			return ""
		}
		const begin, end = "<D:supported-report><D:report><", "/></D:report></D:supported-report>"
		return begin + "C:calendar-query" + end + begin + "C:calendar-multiget" + end + begin + "C:free-busy-query" + end + begin + "D:sync-collection" + end
	})},
	{caldav("calendar-home-set"), root | principal | home, false, link(func(r *resource) string { return r.homePath() })},
	{caldav("calendar-user-address-set"), principal, false, link(func(r *resource) string { return r.principalPath() })},

	{dav("sync-token"), calendar, false, text(func(r *resource) string { return syncPrefix + r.state })},
	{xml.Name{Space: nsServer, Local: "getctag"}, calendar, false, text(func(r *resource) string { return r.state })},
	{caldav("calendar-description"), calendar, false, text(func(r *resource) string { return r.calendar.Subscriber })},
	{caldav("supported-calendar-component-set"), calendar, false, markup(func(*resource) string { return `<C:comp name="VEVENT"/>` })},
	{caldav("supported-calendar-data"), calendar, false, markup(func(*resource) string {
		return `<C:calendar-data content-type="text/calendar" version="2.0"/>`
	})},
	{caldav("supported-collation-set"), calendar, false, markup(func(*resource) string {
		return "<C:supported-collation>i;ascii-casemap</C:supported-collation><C:supported-collation>i;octet</C:supported-collation>"
	})},
	{caldav("max-resource-size"), calendar, false, text(func(*resource) string { return strconv.Itoa(maxFile) })},

	{dav("getetag"), object, true, text(func(r *resource) string { return r.event.ETag() })},
	{dav("getcontenttype"), object, true, text(func(*resource) string { return contentType })},
	{dav("getcontentlength"), object, true, text(func(r *resource) string { return strconv.Itoa(len(r.event.File())) })},
	{dav("getlastmodified"), object, true, func(d *document, r *resource) error {
		at := r.event.Updated()
		if at.IsZero() {
			return errNotHere
		}
		d.text(at.UTC().Format(http.TimeFormat))
		return nil
	}},
	{caldav("calendar-data"), object, false, func(d *document, r *resource) error {
		if r.data == nil {
			return errNotHere
		}
		return r.data.write(d, r.event)
	}},
}

// errNotHere says that a resource has not the property after all: an event's text is told in reports alone.
var errNotHere = fault.NotFound("there is no such property here")

const contentType = "text/calendar; charset=utf-8; component=VEVENT"

// wanted is what a PROPFIND or a report asks for.
type wanted struct {
	names     []xml.Name
	namesOnly bool // DAV:propname
	all       bool // DAV:allprop
}

// want reads DAV:prop, DAV:allprop or DAV:propname among an element's children; without any it is all.
func want(e *element) (w wanted) {
	if e != nil && e.child(nsDAV, "propname") != nil {
		return wanted{namesOnly: true}
	}
	if list := e.child(nsDAV, "prop"); list != nil {
		for _, p := range list.children {
			w.names = append(w.names, p.Name)
		}
		return w
	}
	return wanted{all: true}
}

// tell writes the DAV:response of a resource.
func (r *resource) tell(d *document, w wanted) error {
	d.raw("<D:response>")
	d.href(r.path())
	var missing []xml.Name
	d.raw("<D:propstat><D:prop>")
	for _, name := range r.names(w) {
		p := known(name, r.kind)
		if p == nil {
			missing = append(missing, name)
			continue
		}
		if w.namesOnly {
			d.empty(name)
			continue
		}
		begun := len(d.b)
		markup, namespace := tag(name)
		d.raw("<" + markup + namespace + ">")
		if err := p.write(d, r); err != nil {
			if !fault.Is(err, fault.CodeNotFound) {
				return err
			}
			d.b = d.b[:begun]
			missing = append(missing, name)
			continue
		}
		d.raw("</" + markup + ">")
	}
	d.raw("</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>")
	if len(missing) > 0 {
		d.raw("<D:propstat><D:prop>")
		for _, name := range missing {
			d.empty(name)
		}
		d.raw("</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>")
	}
	d.raw("</D:response>\n")
	return nil
}

func (r *resource) names(w wanted) []xml.Name {
	if !w.all && !w.namesOnly {
		return w.names
	}
	var list []xml.Name
	for i := range properties {
		if p := &properties[i]; p.kinds&r.kind != 0 && (p.all || w.namesOnly) && p.Name != caldav("calendar-data") {
			list = append(list, p.Name)
		}
	}
	return list
}

// known is the property of that name that a kind of resource has; nil when it has none.
func known(name xml.Name, k kind) *property {
	for i := range properties {
		if p := &properties[i]; p.Name == name && p.kinds&k != 0 {
			return p
		}
	}
	return nil
}

// open makes a resource of a place: whether it is there and what is to be known of it.
func (h *Server) open(ctx context.Context, p *place) (*resource, error) {
	r := &resource{place: p}
	if p.kind&(calendar|object) == 0 {
		return r, nil
	}
	var err error
	if r.calendar, err = h.events.Calendar(ctx, p.subscriber); err != nil {
		return nil, err
	}
	if p.kind == calendar {
		r.state, err = r.calendar.State(ctx)
		return r, err
	}
	list, err := r.calendar.Get(ctx, []string{p.name})
	if err != nil {
		return nil, err
	}
	if !list[0].There() {
		return nil, fault.NotFound("there is no event of this name in the calendar")
	}
	r.event = &list[0]
	return r, nil
}

// member is an event of the calendar.
func (r *resource) member(o *events.Object) *resource {
	at := *r.place
	at.kind, at.name = object, o.Name
	return &resource{place: &at, calendar: r.calendar, event: o}
}
