package dav

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/events"
	"ward/internal/format/ical"
)

// The limits of a report.
const (
	maxNames   = 20_000 // of a multiget
	maxFilter  = 200    // elements
	maxChanges = 20_000 // of a sync: what more there is comes with the next
)

func (h *Server) report(w http.ResponseWriter, r *http.Request) error {
	at, err := h.here(r)
	if err != nil {
		return err
	}
	body, err := readXML(r)
	if err != nil {
		return err
	}
	if body == nil {
		return fault.Invalid("the body must be a report")
	}
	reports := map[string]func(w http.ResponseWriter, r *http.Request, at *resource, body *element) error{
		"calendar-query": h.query, "calendar-multiget": h.multiget, "free-busy-query": h.freeBusy, "sync-collection": h.sync,
	}
	do := reports[body.Local]
	if do == nil || at.kind != calendar || (body.Space == nsDAV) != (body.Local == "sync-collection") {
		return refuse(w, http.StatusForbidden, nsDAV, "supported-report", "reports are calendar-query, calendar-multiget, free-busy-query and sync-collection, of a calendar")
	}
	err = do(w, r, at, body)
	if no, is := errors.AsType[unsupported](err); is {
		return refuse(w, http.StatusForbidden, nsCalDAV, no.precondition, no.what)
	}
	return err
}

// calendarData is how a report wants events to be told (RFC 4791 §9.6).
type calendarData struct{ expand, limit *span }

// dataOf reads CALDAV:calendar-data of a report's DAV:prop; nil when events are not to be told.
func dataOf(report *element) (*calendarData, error) {
	e := report.child(nsDAV, "prop").child(nsCalDAV, "calendar-data")
	if e == nil {
		return nil, nil
	}
	kind, version := e.attribute("content-type"), e.attribute("version")
	if kind != "" && kind != "text/calendar" || version != "" && version != "2.0" {
		return nil, unsupported{"supported-calendar-data", "events are told as text/calendar, version 2.0"}
	}
	data := &calendarData{}
	for name, to := range map[string]**span{"expand": &data.expand, "limit-recurrence-set": &data.limit} {
		if c := e.child(nsCalDAV, name); c != nil {
			s, err := spanOf(c, false)
			if err != nil {
				return nil, err
			}
			*to = &s
		}
	}
	return data, nil
}

func (c *calendarData) write(d *document, o *events.Object) error {
	file := o.File()
	switch {
	case c.expand != nil:
		written, err := o.Expanded(c.expand.from, c.expand.to)
		if err != nil {
			return err
		}
		file = written.Append(nil)
	case c.limit != nil:
		file = o.Limited(c.limit.from, c.limit.to).Append(nil)
	}
	d.text(string(file))
	return nil
}

// answer tells events of the calendar.
func (r *resource) answer(w http.ResponseWriter, req *http.Request, found []events.Object, report *element, more string) error {
	data, err := dataOf(report)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		if err := r.calendar.Seen(req.Context(), ""); err != nil {
			return err
		}
	}
	list := r.all(found)
	for _, one := range list {
		one.data = data
	}
	return multistatus(w, list, want(report), more)
}

// query is the report of what passes a filter (RFC 4791 §7.8).
func (h *Server) query(w http.ResponseWriter, r *http.Request, at *resource, body *element) error {
	top := body.child(nsCalDAV, "filter").child(nsCalDAV, "comp-filter")
	if top == nil || !strings.EqualFold(top.attribute("name"), "VCALENDAR") {
		return fault.Invalid("the report must have a filter with a comp-filter of VCALENDAR")
	}
	if top.count() > maxFilter {
		return fault.Invalid("a filter may have up to %d parts", maxFilter)
	}
	f, err := readFilter(top)
	if err != nil {
		return err
	}
	var found []events.Object
	if b := f.bounds(); b == whole {
		found, err = at.calendar.List(r.Context())
	} else {
		found, err = at.calendar.Between(r.Context(), b.from, b.to)
	}
	if err != nil {
		return err
	}
	return at.answer(w, r, slices.DeleteFunc(found, func(o events.Object) bool { return f.undefined || !f.matches(&o) }), body, "")
}

// multiget is the report of events by their names (RFC 4791 §7.9).
func (h *Server) multiget(w http.ResponseWriter, r *http.Request, at *resource, body *element) error {
	var names, strange []string
	for _, c := range body.children {
		if c.Name != dav("href") {
			continue
		}
		if name := at.nameOf(c.text); name != "" {
			names = append(names, name)
		} else {
			strange = append(strange, strings.TrimSpace(c.text))
		}
	}
	if len(names)+len(strange) > maxNames {
		return fault.TooCostly("a report may name up to %d events", maxNames)
	}
	found, err := at.calendar.Get(r.Context(), names)
	if err != nil {
		return err
	}
	d := &document{}
	for _, href := range strange {
		d.raw("<D:response>")
		d.element("D:href", href)
		d.raw("<D:status>HTTP/1.1 404 Not Found</D:status></D:response>\n")
	}
	return at.answer(w, r, found, body, string(d.b))
}

// sync is the report of what changed since a token (RFC 6578 §3).
func (h *Server) sync(w http.ResponseWriter, r *http.Request, at *resource, body *element) error {
	refused := func() error {
		return refuse(w, http.StatusForbidden, nsDAV, "valid-sync-token", "the sync-token must be one that was given before; leave it empty to begin")
	}
	most := maxChanges
	if n := body.child(nsDAV, "limit").child(nsDAV, "nresults"); n != nil {
		given, err := strconv.Atoi(strings.TrimSpace(n.text))
		if err != nil || given < 1 {
			return fault.Invalid("nresults must be a number from 1 on")
		}
		most = min(most, given)
	}
	token := ""
	if e := body.child(nsDAV, "sync-token"); e != nil && strings.TrimSpace(e.text) != "" {
		var ok bool
		if token, ok = strings.CutPrefix(strings.TrimSpace(e.text), syncPrefix); !ok || token == "" {
			return refused()
		}
	}
	found, next, more, err := at.calendar.Changes(r.Context(), token, most)
	if fault.Is(err, fault.CodeInvalid) {
		return refused()
	}
	if err != nil {
		return err
	}
	d := &document{}
	if more {
		d.response(at.path(), "507 Insufficient Storage")
	}
	d.element("D:sync-token", syncPrefix+next)
	return at.answer(w, r, found, body, string(d.b))
}

// freeBusy is the report of when somebody has time (RFC 4791 §7.10).
func (h *Server) freeBusy(w http.ResponseWriter, r *http.Request, at *resource, body *element) error {
	e := body.child(nsCalDAV, "time-range")
	if e == nil {
		return fault.Invalid("the report must have a time-range")
	}
	s, err := spanOf(e, false)
	if err != nil {
		return err
	}
	const longest = 400 * 86400
	if s.to-s.from > longest {
		return fault.TooCostly("busy times are told of %d days at most", longest/86400)
	}
	found, err := at.calendar.Between(r.Context(), s.from, s.to)
	if err != nil {
		return err
	}
	if err := at.calendar.Seen(r.Context(), ""); err != nil {
		return err
	}
	var times [2][][2]int64 // busy, and perhaps
	for i := range found {
		list, tentative := found[i].Busy(s.from, s.to)
		k := 0
		if tentative {
			k = 1
		}
		times[k] = append(times[k], list...)
	}
	utc := func(at int64) string { return ical.Moment{Civil: ical.Civil(at), UTC: true}.String() }
	busy := &ical.Component{Name: "VFREEBUSY"}
	busy.Add("DTSTAMP", utc(s.from))
	busy.Add("DTSTART", utc(s.from))
	busy.Add("DTEND", utc(s.to))
	for k, kind := range []string{"BUSY", "BUSY-TENTATIVE"} {
		for _, one := range merged(times[k]) {
			busy.Add("FREEBUSY", utc(one[0])+"/"+utc(one[1]), "FBTYPE", kind)
		}
	}
	file := &ical.Component{Name: "VCALENDAR", Components: []*ical.Component{busy}}
	file.Add("VERSION", "2.0")
	file.Add("PRODID", "-//Ward//Calendar//EN")
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8; component=VFREEBUSY")
	_, _ = w.Write(file.Append(nil))
	return nil
}

// merged are times in order, without overlaps.
func merged(list [][2]int64) (out [][2]int64) {
	slices.SortFunc(list, func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
	for _, one := range list {
		if n := len(out); n > 0 && one[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], one[1])
		} else {
			out = append(out, one)
		}
	}
	return out
}
