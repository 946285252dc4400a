package events

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/sight"
	"ward/internal/kernel/access"
)

// viewer is who asks, as far as calendars go.
type viewer struct {
	scope.Principal
	own bool // only own calendars, and of events only what they are, not who else is there

	sight  sight.Sight     // nil: not asked for yet
	hidden map[string]bool // references to the patients that were looked at: whether the viewer does not see them
	blind  bool            // some are hidden
}

func viewerOf(ctx context.Context) viewer {
	sc, _ := scope.From(ctx)
	p := sc.Principal
	return viewer{Principal: p, own: p.Role == access.Patient || p.Role == access.Proxy}
}

// may fails unless the viewer may see, or with write change, the calendars of all subscribers.
func (s *Service) may(ctx context.Context, v *viewer, subscribers []string, write bool) error {
	launched, err := v.scopes(write)
	if err != nil {
		return err
	}
	var patients []string
	for _, subscriber := range subscribers {
		id, patient := strings.CutPrefix(subscriber, "Patient/")
		own := subscriber == v.Person && v.Person != "" || patient && slices.Contains(v.Patients, id)
		if v.own && !own || launched && (!patient || id != v.Patient) {
			return fault.Denied("this calendar is somebody else's")
		}
		if patient && !own {
			patients = append(patients, id)
		}
	}
	if len(patients) > 0 && s.deps.Visible != nil {
		return s.deps.Visible(ctx, patients)
	}
	return nil
}

// scopes fails when the viewer's SMART scopes don't cover appointments. launched: they cover those of the patient in context only.
func (v *viewer) scopes(write bool) (launched bool, err error) {
	if v.Scopes == "" {
		return false, nil
	}
	want, old := "s", "read"
	if write {
		want, old = "u", "write"
	}
	for one := range strings.FieldsSeq(v.Scopes) {
		level, rest, ok := strings.Cut(one, "/")
		typ, actions, dot := strings.Cut(rest, ".")
		actions, _, narrowed := strings.Cut(actions, "?")
		if !ok || !dot || narrowed || typ != "*" && typ != "Appointment" || actions != "*" && actions != old && (actions == "read" || actions == "write" || !strings.Contains(actions, want)) {
			continue
		}
		switch level {
		case "user", "system":
			return false, nil
		case "patient":
			launched = true
		}
	}
	if !launched {
		return false, fault.Denied("the token's scopes don't cover appointments")
	}
	return true, nil
}

// sees says whether the viewer may know what an occurrence is.
func (v *viewer) sees(e *entry) bool {
	return e.flags&flagPrivate == 0 || v.own || v.Role == access.Admin || v.Role == access.System || v.Person != "" && bytes.Contains(e.who, []byte(`"`+v.Person+`"`))
}

// look finds out which of the patients among subscribers the viewer sees. What it finds counts for as long as the viewer does.
func (s *Service) look(ctx context.Context, v *viewer, subscribers ...string) error {
	if v.own || s.deps.Sight == nil {
		return nil
	}
	var ids []string
	for _, ref := range subscribers {
		id, patient := sight.Patient(ref)
		if _, known := v.hidden[ref]; patient && !known && ref != v.Person && !slices.Contains(v.Patients, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if v.sight == nil {
		var err error
		if v.sight, err = s.deps.Sight(ctx); err != nil {
			return err
		}
	}
	list, err := v.sight.Hidden(ctx, ids)
	if err != nil {
		return err
	}
	if v.hidden == nil {
		v.hidden = make(map[string]bool, len(ids))
	}
	for _, id := range ids {
		v.hidden["Patient/"+id] = false
	}
	for _, id := range list {
		v.hidden["Patient/"+id], v.blind = true, true
	}
	return nil
}

// lookIn finds out whom of those the viewer sees who are in a window beside its subscribers, who may be seen.
func (s *Service) lookIn(ctx context.Context, v *viewer, subscribers []string, list [][]shard) error {
	if v.own || s.deps.Sight == nil {
		return nil
	}
	var found []string
	seen := map[string]bool{}
	var e entry
	for _, months := range list {
		for _, sh := range months {
			for i := range sh.len() {
				if sh.flags(i)&flagMany == 0 {
					continue
				}
				sh.entry(i, &e)
				eachPatient(e.who, func(ref []byte) bool {
					if !seen[string(ref)] {
						one := string(ref)
						seen[one] = true
						if _, asked := slices.BinarySearch(subscribers, one); !asked {
							found = append(found, one)
						}
					}
					return true
				})
			}
		}
	}
	return s.look(ctx, v, found...)
}

// eachPatient calls take for the references to patients in the piece of JSON that says who is there, until it returns false.
func eachPatient(who []byte, take func(ref []byte) bool) {
	const mark = `"Patient/`
	for {
		at := bytes.Index(who, []byte(mark))
		if at < 0 {
			return
		}
		who = who[at+1:]
		end := bytes.IndexByte(who, '"')
		if end < 0 || !take(who[:end]) {
			return
		}
		who = who[end+1:]
	}
}

// standpoint is what an answer for the viewer depends on beside its class: whom they see.
func (s *Service) standpoint(ctx context.Context, v *viewer) (_ string, err error) {
	if v.own || s.deps.Sight == nil {
		return "", nil
	}
	if v.sight == nil {
		if v.sight, err = s.deps.Sight(ctx); err != nil {
			return "", err
		}
	}
	return v.sight.Print(), nil
}

// unseen are the patients whom the viewer was found not to see, for what must differ when they do.
func (v *viewer) unseen() string {
	if !v.blind {
		return ""
	}
	var list []string
	for ref, hidden := range v.hidden {
		if hidden {
			list = append(list, ref)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// without is the subscribers whom the viewer sees.
func (v *viewer) without(subscribers []string) []string {
	return slices.DeleteFunc(slices.Clone(subscribers), func(ref string) bool { return v.hidden[ref] })
}

// hides says whether somebody is there whom the viewer does not see. Who is there themselves knows with whom.
func (v *viewer) hides(e *entry) (hidden bool) {
	if v.blind && e.flags&flagMany != 0 && (v.Person == "" || !bytes.Contains(e.who, []byte(`"`+v.Person+`"`))) {
		eachPatient(e.who, func(ref []byte) bool {
			hidden = v.hidden[string(ref)]
			return !hidden
		})
	}
	return hidden
}

// append writes an occurrence as the viewer may see it.
func (v *viewer) append(b []byte, e *entry) []byte {
	b = append(append(b, '{'), e.when...)
	private := !v.sees(e)
	if hidden := v.hides(e); private || hidden {
		b = append(b, `,"title":"Busy"`...)
		if private {
			return append(b, `,"private":true}`...)
		}
		var w who
		if json.Unmarshal(slices.Concat([]byte{'{'}, e.who, []byte{'}'}), &w) == nil {
			w.Subscribers = v.without(w.Subscribers)
			b = append(append(b, ','), piece(w)...)
		}
		return append(b, '}')
	}
	b = append(append(b, ','), e.what...)
	if !v.own {
		b = append(append(b, ','), e.who...)
	}
	return append(b, '}')
}

// shown is events as the viewer may see them.
func (s *Service) shown(ctx context.Context, v *viewer, list ...*Event) ([]*Event, error) {
	var who []string
	for _, e := range list {
		who = append(who, e.Subscribers...)
	}
	if err := s.look(ctx, v, who...); err != nil {
		return nil, err
	}
	shown := make([]*Event, len(list))
	for i, e := range list {
		shown[i] = v.show(e)
	}
	return shown, nil
}

// show is an event as the viewer may see it, who has looked at its subscribers.
func (v *viewer) show(e *Event) *Event {
	if v.own {
		shown := *e
		shown.source = ""
		shown.Subscribers = slices.DeleteFunc(slices.Clone(e.Subscribers), func(s string) bool {
			id, patient := strings.CutPrefix(s, "Patient/")
			return s != v.Person && (!patient || !slices.Contains(v.Patients, id))
		})
		return &shown
	}
	hidden := v.blind && !slices.Contains(e.Subscribers, v.Person) && slices.ContainsFunc(e.Subscribers, func(ref string) bool { return v.hidden[ref] })
	private := e.Visibility == "private" && v.Role != access.Admin && v.Role != access.System && !slices.Contains(e.Subscribers, v.Person)
	if !hidden && !private {
		return e
	}
	shown := Event{
		ID: e.ID, Version: e.Version, Updated: e.Updated, Organization: e.Organization, Subscribers: v.without(e.Subscribers), Title: "Busy", Visibility: e.Visibility, Free: e.Free,
		Start: e.Start, End: e.End, TZ: e.TZ, RRule: e.RRule, RDates: e.RDates, ExDates: e.ExDates, Status: e.Status,
	}
	for _, o := range e.Overrides {
		shown.Overrides = append(shown.Overrides, Override{Recurrence: o.Recurrence, Cancelled: o.Cancelled, Start: o.Start, End: o.End, Status: o.Status})
	}
	return &shown
}
