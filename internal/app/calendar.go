package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/alarm"
	"ward/internal/domain/calendar/events"
	"ward/internal/domain/calendar/secret"
	"ward/internal/domain/records"
	"ward/internal/format/fhir/search"
	"ward/internal/kernel/identity/people"
)

// calendarEvents makes the events' service on top of the records.
func (a *App) calendarEvents() *events.Service {
	c := cohorts{records: a.Records, cache: a.Backends.Cache, clock: a.clock, recent: map[asked]answered{}}
	return events.New(events.Deps{
		DB: a.Backends.DB, Cache: a.Backends.Cache, Keys: a.Backends.Seal, Clock: a.clock, Audit: a.Audit, Cohort: c.members, Visible: c.visible, Organization: c.organization, Sight: sightIn(a.Records), SightTag: records.SightTag(),
		Alarms: alarm.Rows{Clock: a.clock, Wake: func(t scope.Tenant) { a.Booking.Wake(t) }},
	})
}

// calendarSecrets makes what calendar programs show in place of a sign-in.
func (a *App) calendarSecrets() *secret.Secrets {
	return secret.New(secret.Deps{
		DB: a.Backends.DB, Keys: a.Backends.Seal, Clock: a.clock, Audit: a.Audit, Events: a.Events,
		Account: func(ctx context.Context, account string) (scope.Principal, error) {
			p, err := a.People.Get(ctx, account)
			if err == nil && p.State != people.Active {
				err = fault.NotFound("this account is closed")
			}
			return scope.Principal{ID: p.UserID(), Role: p.Role, Person: p.Reference, Patients: p.Patients, Sensitive: p.Sensitive}, err
		},
		Fresh: func(r *http.Request) (bool, error) {
			s, ok := a.Sessions.FromRequest(r)
			asks, _ := scope.From(r.Context()) // by a token perhaps, beside somebody else's cookie
			if !ok || s.Principal().ID != asks.Principal.ID {
				return false, nil
			}
			return a.People.MayChange(r.Context(), s)
		},
	})
}

// cohorts finds subscribers of calendars in the records, as whoever asks may see them.
type cohorts struct {
	records *records.Service
	cache   *cache.Cache // nil: every Group is taken apart anew
	clock   clock.Clock

	mu     sync.Mutex
	recent map[asked]answered
}

// asked is a search for a cohort, and who asked.
type asked struct {
	tenant                       int32
	principal, role, kind, value string
}

type answered struct {
	at   time.Time
	list []string
}

// A search for a cohort is good for less than a second: so long may it take until who joins a panel is seen there. So a page that asks for one
// panel in many shapes searches once.
const (
	cohortGood = 800 * time.Millisecond
	cohortKept = 64
)

// members gives a cohort's subscribers: one more than most at most.
func (c *cohorts) members(ctx context.Context, kind, value string, most int) ([]string, error) {
	if kind == "group" {
		return c.group(ctx, value)
	}
	sc, _ := scope.From(ctx)
	if sc.Principal.Scopes != "" { // they may narrow what is seen, in many ways
		return c.found(ctx, kind, value, most)
	}
	q := asked{sc.Tenant.ID, sc.Principal.ID, sc.Principal.Role, kind, value}
	now := c.clock.Now()
	c.mu.Lock()
	was, ok := c.recent[q]
	c.mu.Unlock()
	if ok && now.Sub(was.at) < cohortGood {
		return slices.Clone(was.list), nil
	}
	list, err := c.found(ctx, kind, value, most)
	if err != nil {
		return nil, err
	}
	slices.Sort(list)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.recent) >= cohortKept {
		clear(c.recent)
	}
	c.recent[q] = answered{now, list}
	return slices.Clone(list), nil
}

// found searches for a cohort.
func (c *cohorts) found(ctx context.Context, kind, value string, most int) ([]string, error) {
	switch kind {
	case "panel":
		return c.patients(ctx, url.Values{"general-practitioner": {reference("Practitioner", value)}}, most)
	case "organization":
		return c.patients(ctx, url.Values{"organization": {reference("Organization", value)}}, most)
	}
	typ, criteria, _ := strings.Cut(value, "?")
	if typ != "Patient" {
		return nil, fault.Invalid("search must be criteria for patients, such as Patient?general-practitioner=Practitioner/1")
	}
	values, err := url.ParseQuery(criteria)
	if err != nil {
		return nil, fault.Invalid("search must be criteria as in a URL, percent-encoded")
	}
	return c.patients(ctx, values, most)
}

// reference is a reference of which the type may be left out.
func reference(typ, value string) string {
	if strings.Contains(value, "/") {
		return value
	}
	return typ + "/" + value
}

// group is the members of a Group that are not inactive, and whom the caller sees.
func (c *cohorts) group(ctx context.Context, id string) ([]string, error) {
	v, err := c.records.Read(ctx, "Group", strings.TrimPrefix(id, "Group/"))
	if err != nil {
		return nil, err
	}
	list, err := c.inGroup(ctx, v)
	if err != nil {
		return nil, err
	}
	var patients []string
	for _, m := range list {
		if id, ok := strings.CutPrefix(m, "Patient/"); ok {
			patients = append(patients, id)
		}
	}
	sight, err := c.records.Sight(ctx)
	if err != nil {
		return nil, err
	}
	hidden, err := sight.Hidden(ctx, patients)
	if err != nil || len(hidden) == 0 {
		return list, err
	}
	slices.Sort(hidden)
	return slices.DeleteFunc(slices.Clone(list), func(m string) bool {
		id, ok := strings.CutPrefix(m, "Patient/")
		_, is := slices.BinarySearch(hidden, id)
		return ok && is
	}), nil
}

// inGroup is who is in a version of a Group, sorted. What was found is kept: a Group of thousands takes longer to read than their calendars.
func (c *cohorts) inGroup(ctx context.Context, v *records.Version) ([]string, error) {
	key := fmt.Appendf(nil, "cohort/group/%s/%d", v.ID, v.Seq)
	if c.cache != nil {
		value, ok, err := c.cache.GetFixed(ctx, key)
		if err != nil {
			return nil, err
		}
		if ok && len(value) > 0 {
			return strings.Split(string(value), "\n"), nil
		}
	}
	var group struct {
		Member []struct {
			Entity   struct{ Reference string }
			Inactive bool
		}
	}
	if err := json.Unmarshal(v.JSON, &group); err != nil {
		return nil, fault.Internal("a stored Group can't be read").With(err)
	}
	var list []string
	for _, m := range group.Member {
		if !m.Inactive && m.Entity.Reference != "" {
			list = append(list, m.Entity.Reference)
		}
	}
	slices.Sort(list)
	if c.cache != nil && len(list) > 0 {
		return list, c.cache.SetFixed(ctx, key, []byte(strings.Join(list, "\n")), time.Hour)
	}
	return list, nil
}

// patients is those who meet criteria.
func (c *cohorts) patients(ctx context.Context, criteria url.Values, most int) ([]string, error) {
	var pairs []search.Pair
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range criteria {
			if !yield(name) {
				return
			}
		}
	}) {
		if strings.HasPrefix(name, "_") && name != "_id" && name != "_has" && !strings.HasPrefix(name, "_has:") {
			return nil, fault.Invalid("search may have criteria alone: no parameter that begins with _ but _id and _has")
		}
		for _, value := range criteria[name] {
			pairs = append(pairs, search.Pair{Name: name, Value: value})
		}
	}
	query, err := search.Parse(search.Standard(), "Patient", pairs, search.Options{})
	if err != nil {
		return nil, err
	}
	const page = 1000
	query.Count, query.HasCount, query.Total = page, true, search.TotalNone
	var list []string
	for {
		found, err := c.records.Search(ctx, records.Request{Query: query})
		if err != nil {
			return nil, err
		}
		for _, v := range found.Matches {
			list = append(list, "Patient/"+v.ID)
		}
		if found.Next == "" || len(list) > most {
			return list, nil
		}
		query.Cursor = found.Next
	}
}

// organization is to which organisation an event belongs that somebody's program put into a calendar: the practitioner's, the patient's, or the
// tenant itself where the records tell of none.
func (c *cohorts) organization(ctx context.Context, subscriber string) (string, error) {
	sc, _ := scope.From(ctx)
	ctx = scope.WithTenant(ctx, sc.Tenant) // whose it is needs no right of the caller's
	typ, id, _ := strings.Cut(subscriber, "/")
	criteria := map[string]string{"Practitioner": "PractitionerRole?practitioner=" + url.QueryEscape(subscriber), "Patient": "Patient?_id=" + url.QueryEscape(id)}[typ]
	if criteria != "" {
		search, query, _ := strings.Cut(criteria, "?")
		found, err := c.records.Matching(ctx, search, query, 1)
		if err != nil {
			return "", err
		}
		for _, v := range found {
			var of struct{ Organization, ManagingOrganization struct{ Reference string } }
			if err := json.Unmarshal(v.JSON, &of); err != nil {
				return "", fault.Internal("a stored resource can't be read").With(err)
			}
			if at := of.Organization.Reference + of.ManagingOrganization.Reference; strings.HasPrefix(at, "Organization/") {
				return at, nil
			}
		}
	}
	return "Organization/" + sc.Tenant.Slug, nil
}

// visible fails with NotFound unless the caller may see these patients' charts.
func (c *cohorts) visible(ctx context.Context, patients []string) error {
	sight, err := c.records.Sight(ctx)
	if err != nil {
		return err
	}
	return sight.Must(ctx, patients...)
}
