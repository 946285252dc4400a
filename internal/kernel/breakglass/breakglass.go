package breakglass

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/phi"
	"ward/internal/base/recent"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/seal"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Longest is how long a patient stays open at most, and Fresh how long ago the second factor was shown at most.
const (
	Longest = 60 * time.Minute
	Fresh   = 5 * time.Minute
)

// staleness is how long another process may not know of an opening, or of its end.
const staleness = 2 * time.Second

// openedSubject is the event that an opening announces.
const openedSubject = "breakglass.opened"

const leastReason, mostReason = 10, 1000

// Audit is where openings are recorded: an *audit.Log.
type Audit interface {
	RecordIn(ctx context.Context, tx db.Tx, events ...audit.Event) error
	Record(ctx context.Context, e audit.Event) error
	Security(ctx context.Context, kind audit.Kind, detail string)
}

// Deps are what a glass works with; all are needed.
type Deps struct {
	DB    *db.DB
	Keys  *seal.Keys
	Clock clock.Clock
	Audit Audit

	// Factor says whether who asks has shown a second factor within the time.
	Factor func(r *http.Request, within time.Duration) bool
	// Announce writes events with the transaction: the outbox's Enqueue.
	Announce func(ctx context.Context, tx db.Tx, events ...module.Event) error
	// Notify tells the privacy officer of the scope's tenant. What it is given says nothing about the patient.
	Notify func(ctx context.Context, n Notice) error
}

// Notice is what the privacy officer is told.
type Notice struct {
	ID    string // of the opening: the reason is shown to who signs in
	By    string // who opened: a principal's id
	Role  string
	Until time.Time
}

// Opening is a patient who was opened.
type Opening struct {
	ID       string
	By       string // the principal's id
	Role     string
	Person   string // the FHIR reference of who opened; empty for none
	Patient  string // the patient's id
	Reason   phi.Text
	Opened   time.Time
	Until    time.Time
	Ended    time.Time // zero: it ended at Until
	Reviewed time.Time // zero: not yet
	Reviewer string
	Verdict  phi.Text
}

// holder is who opened: somebody in one sign-in session, and in the apps that were let act in it.
type holder struct {
	tenant             int32
	principal, session string
}

func holderOf(tenant int32, p *scope.Principal) holder { return holder{tenant, p.ID, p.Session} }

type opened struct {
	patient string
	until   time.Time
}

// Glass opens patients. It is safe for use by many goroutines.
type Glass struct {
	deps Deps
	open *recent.Cache[holder, []opened]
}

// New is the glass of all tenants.
func New(d Deps) *Glass {
	return &Glass{deps: d, open: recent.New[holder, []opened](recent.Options{Clock: d.Clock, TTL: staleness, Max: 50_000})}
}

// Module is the table, the routes and who sends the mails.
func (g *Glass) Module() module.Module {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	route := func(method, path, permission, summary string, h func(http.ResponseWriter, *http.Request) error) module.Route {
		return module.Route{
			Method: method, Pattern: module.TenantPrefix + "break-glass" + path, Target: module.API, Lane: module.Urgent, Permission: permission, BodyLimit: 16 << 10,
			Objective: module.Objective{Percentile: 0.95, Latency: 500 * time.Millisecond}, Summary: summary, Handler: h,
		}
	}
	return module.Module{
		Name: "breakglass", Migrations: files,
		Routes: []module.Route{
			route("POST", "", access.BreakGlassOpen, "Open a patient in an emergency", g.handleOpen),
			route("GET", "", access.BreakGlassReview, "Patients who were opened in an emergency", g.handleList),
			route("POST", "/{id}/review", access.BreakGlassReview, "Sign off that a patient was opened", g.handleReview),
			route("DELETE", "/{id}", access.BreakGlassOpen, "End it early", g.handleEnd),
		},
		Consumers: []module.Consumer{{Name: "breakglass-notify", Subject: openedSubject, Handle: g.notify}},
	}
}

// Open opens the patient to the principal in ctx for the time, at most Longest, in its session and for the apps that act in it. The caller has checked the permission and the second factor.
//
// Errors: Invalid for a reason or a time that can't be, Denied for a principal that is no clinician or nurse.
func (g *Glass) Open(ctx context.Context, patient, reason string, length time.Duration) (o Opening, err error) {
	defer fault.Op(&err, "breakglass.Open")
	reason = strings.TrimSpace(reason)
	switch {
	case !id.Valid(patient):
		return o, fault.Invalid("patient is the id of a patient")
	case len(reason) < leastReason || len(reason) > mostReason:
		return o, fault.Invalid("a reason of %d to %d characters is needed: somebody will read it", leastReason, mostReason)
	case length <= 0 || length > Longest:
		return o, fault.Invalid("a patient is opened for 1 to %d minutes", int(Longest.Minutes()))
	}
	if err := access.Require(ctx, access.BreakGlassOpen); err != nil {
		return o, err
	}
	s, _ := scope.From(ctx)
	now := g.deps.Clock.Now().UTC().Truncate(time.Millisecond)
	o = Opening{
		ID: id.New(), By: s.Principal.ID, Role: s.Principal.Role, Person: s.Principal.Person, Patient: patient, Reason: phi.Of(reason),
		Opened: now, Until: now.Add(length),
	}
	key, err := g.deps.Keys.For(ctx)
	if err != nil {
		return o, err
	}
	sealed := key.Seal(nil, []byte(reason), about(o.ID, "reason"))
	data, err := json.Marshal(announced{o.ID})
	if err != nil {
		return o, fault.Internal("an event can't be written").With(err)
	}
	err = g.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO breakglass_opening (id, by_id, session, role, person, patient, reason, opened, until, ended, reviewed, reviewer, verdict) "+
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, '', $10)",
			o.ID, o.By, s.Principal.Session, o.Role, o.Person, patient, sealed, o.Opened.UnixMilli(), o.Until.UnixMilli(), []byte{}); err != nil {
			return err
		}
		if err := g.deps.Audit.RecordIn(ctx, tx, audit.Event{Action: audit.BreakGlass, Type: "opening", ID: o.ID, Patients: []string{patient}, Detail: "open", Emergency: true}); err != nil {
			return err
		}
		return g.deps.Announce(ctx, tx, module.Event{Subject: openedSubject, Data: data})
	})
	g.open.Invalidate()
	return o, err
}

type announced struct {
	ID string `json:"id"`
}

func about(id, what string) []byte { return []byte("breakglass_opening " + id + " " + what) }

// Opened are the ids of the patients that are open to the principal in ctx, in its session, from memory.
func (g *Glass) Opened(ctx context.Context) ([]string, error) {
	s, ok := scope.From(ctx)
	if !ok || s.Tenant.ID == 0 || s.Principal.ID == "" {
		return nil, nil
	}
	list, err := g.open.Get(ctx, holderOf(s.Tenant.ID, &s.Principal), func(ctx context.Context) (list []opened, err error) {
		err = g.deps.DB.Read(scope.WithTenant(ctx, s.Tenant), func(ctx context.Context, q db.Querier) error {
			list = nil
			return q.Query(ctx, "SELECT patient, until FROM breakglass_opening WHERE by_id = $1 AND until > $2 AND ended = 0 AND session = $3", func(r db.Row) error {
				list = append(list, opened{r.Text(0), time.UnixMilli(r.Int64(1))})
				return nil
			}, s.Principal.ID, g.deps.Clock.Now().UnixMilli(), s.Principal.Session)
		})
		return list, err
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	now := g.deps.Clock.Now()
	var ids []string
	for _, o := range list {
		if now.Before(o.until) && !slices.Contains(ids, o.patient) {
			ids = append(ids, o.patient)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Used says whether one of the patients is open to the principal, as far as is known without asking the database: whoever was let in by that was
// asked about within the last seconds.
func (g *Glass) Used(tenant int32, by *scope.Principal, patients []string) bool {
	list, _ := g.open.Peek(holderOf(tenant, by))
	now := g.deps.Clock.Now()
	return slices.ContainsFunc(list, func(o opened) bool { return now.Before(o.until) && slices.Contains(patients, o.patient) })
}

// End ends an opening of the principal in ctx before its time. Ending twice is no error.
//
// Errors: NotFound when the principal has opened nothing under the id.
func (g *Glass) End(ctx context.Context, openingID string) (err error) {
	defer fault.Op(&err, "breakglass.End", openingID)
	s, _ := scope.From(ctx)
	err = g.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		patient := ""
		err := tx.Query(ctx, "SELECT patient FROM breakglass_opening WHERE id = $1 AND by_id = $2", func(r db.Row) error {
			patient = r.Text(0)
			return nil
		}, openingID, s.Principal.ID)
		if err == nil && patient == "" {
			err = errNone()
		}
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, "UPDATE breakglass_opening SET ended = $1 WHERE id = $2 AND ended = 0 AND until > $1", g.deps.Clock.Now().UnixMilli(), openingID)
		if err != nil || n == 0 {
			return err
		}
		return g.deps.Audit.RecordIn(ctx, tx, audit.Event{Action: audit.BreakGlass, Type: "opening", ID: openingID, Patients: []string{patient}, Detail: "end"})
	})
	g.open.Invalidate()
	return err
}

func errNone() error { return fault.NotFound("there is no such opening") }

// Review signs an opening off.
//
// Errors: NotFound, Invalid without a verdict, Denied for one's own opening, Conflict when somebody has.
func (g *Glass) Review(ctx context.Context, openingID, verdict string) (err error) {
	defer fault.Op(&err, "breakglass.Review", openingID)
	verdict = strings.TrimSpace(verdict)
	if verdict == "" || len(verdict) > mostReason {
		return fault.Invalid("a verdict of 1 to %d characters is needed", mostReason)
	}
	if err := access.Require(ctx, access.BreakGlassReview); err != nil {
		return err
	}
	s, _ := scope.From(ctx)
	key, err := g.deps.Keys.For(ctx)
	if err != nil {
		return err
	}
	sealed := key.Seal(nil, []byte(verdict), about(openingID, "verdict"))
	return g.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		patient, by := "", ""
		err := tx.Query(ctx, "SELECT patient, by_id FROM breakglass_opening WHERE id = $1", func(r db.Row) error {
			patient, by = r.Text(0), r.Text(1)
			return nil
		}, openingID)
		switch {
		case err != nil:
			return err
		case patient == "":
			return errNone()
		case by == s.Principal.ID:
			return fault.Denied("somebody else signs off what you opened")
		}
		n, err := tx.Exec(ctx, "UPDATE breakglass_opening SET reviewed = $1, reviewer = $2, verdict = $3 WHERE id = $4 AND reviewed = 0",
			g.deps.Clock.Now().UnixMilli(), s.Principal.ID, sealed, openingID)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.Conflict("it is signed off already")
		}
		return g.deps.Audit.RecordIn(ctx, tx, audit.Event{Action: audit.BreakGlass, Type: "opening", ID: openingID, Patients: []string{patient}, Detail: "review"})
	})
}

// List is the openings that wait for a review, or all, the newest first, at most limit of those before the id; "" begins with the newest.
func (g *Glass) List(ctx context.Context, all bool, before string, limit int) (list []Opening, err error) {
	defer fault.Op(&err, "breakglass.List")
	where, args := "reviewed = 0", []any{}
	if all {
		where = "1 = 1"
	}
	if before != "" { // ids are in the order of their making
		where += " AND id < $1"
		args = append(args, before)
	}
	return g.query(ctx, where+" ORDER BY id DESC", limit, args...)
}

func (g *Glass) query(ctx context.Context, where string, limit int, args ...any) (list []Opening, err error) {
	key, err := g.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	err = g.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		list = nil
		err := q.Query(ctx, "SELECT id, by_id, role, person, patient, reason, opened, until, ended, reviewed, reviewer, verdict FROM breakglass_opening WHERE "+where, func(r db.Row) error {
			o := Opening{
				ID: r.Text(0), By: r.Text(1), Role: r.Text(2), Person: r.Text(3), Patient: r.Text(4),
				Opened: moment(r.Int64(6)), Until: moment(r.Int64(7)), Ended: moment(r.Int64(8)), Reviewed: moment(r.Int64(9)), Reviewer: r.Text(10),
			}
			reason, err := key.Open(nil, r.Bytes(5), about(o.ID, "reason"))
			if err != nil {
				return err
			}
			o.Reason = phi.Of(string(reason))
			if verdict := r.Bytes(11); len(verdict) > 0 {
				text, err := key.Open(nil, verdict, about(o.ID, "verdict"))
				if err != nil {
					return err
				}
				o.Verdict = phi.Of(string(text))
			}
			if list = append(list, o); len(list) == limit {
				return db.Stop
			}
			return nil
		}, args...)
		return err
	})
	return list, err
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// notify is the consumer that tells the privacy officer.
func (g *Glass) notify(ctx context.Context, e module.Event) error {
	var a announced
	if err := json.Unmarshal(e.Data, &a); err != nil {
		return fault.Internal("an event can't be read").With(err)
	}
	list, err := g.query(ctx, "id = $1", 1, a.ID)
	if err != nil || len(list) == 0 {
		return err
	}
	o := list[0]
	return g.deps.Notify(ctx, Notice{ID: o.ID, By: o.By, Role: o.Role, Until: o.Until})
}
