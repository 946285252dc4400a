package people

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
)

// The states of a password that is to be hashed.
const (
	waiting = "waiting"
	hashedd = "done"
)

const (
	batchSize  = 8                // passwords that a process takes at once
	leaseTime  = 30 * time.Second // for which they are its own
	keepDone   = 24 * time.Hour   // for which their outcome is known
	writeEvery = time.Second      // at least, while passwords are hashed
	sweepRest  = 10 * time.Minute // between looks for what other processes left
	sweepRate  = 20               // tenants looked at in a second
)

// Progress is how far a password on its way is.
type Progress struct {
	Done  bool
	Ahead int           // passwords before it
	Wait  time.Duration // until it is its turn, as things go
}

// Activate takes the password of somebody who followed a link, and uses the link up. The password is hashed in turn: ask [People.Progress] with the ticket.
// It returns fault.NotFound for a link that is no good and fault.Unprocessable for a password that is too easy to guess; the link stays good then.
func (p *People) Activate(ctx context.Context, link, password string) (ticket string, who Person, err error) {
	defer fault.Op(&err, "people.Activate")
	l, err := p.FollowLink(ctx, link)
	if err != nil {
		return "", who, err
	}
	if err := p.CheckPassword(ctx, l.Person, password); err != nil {
		return "", who, err
	}
	p.gather(ctx)
	activationID := id.New()
	sealed, err := p.seal(ctx, "password "+activationID, []byte(password))
	if err != nil {
		return "", who, err
	}
	text, hash := secret()
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM identity_link WHERE hash = $1 AND expires > $2", hashed(link), p.now().UnixMilli())
		if err == nil && n == 0 {
			err = noLink() // somebody was faster
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO identity_activation (id, ticket, person, state, sealed, lease, finished) VALUES ($1, $2, $3, $4, $5, 0, 0)",
			activationID, hash[:], l.Person.ID, waiting, sealed); err != nil {
			return err
		}
		return p.note(ctx, tx, audit.Account, l.Person.ID, map[bool]string{false: "link used", true: "recovery link used"}[l.Recover])
	})
	if err != nil {
		return "", who, err
	}
	p.queue.wake(tenantOf(ctx))
	return text, l.Person, nil
}

// gather waits for the next beat, so that one commit carries all activations of a beat. On SQLite every commit has the readers of charts look at the file anew, so a
// surge must not commit as often as it likes.
func (p *People) gather(ctx context.Context) {
	if beat := p.deps.Gather; beat > 0 && p.deps.DB.Dialect().Name == db.SQLite {
		pause(ctx, beat-time.Duration(p.deps.Clock.Now().UnixNano())%beat)
	}
}

// CheckPassword returns fault.Unprocessable for a password that the person may not have.
func (p *People) CheckPassword(ctx context.Context, who Person, password string) error {
	s, err := p.signIn(ctx)
	if err != nil {
		return err
	}
	shortest := shortestWithSecond
	if s.passwordAlone(who.Role) {
		shortest = shortestAlone
	}
	return checkPassword(password, shortest, append(who.about(), tenantOf(ctx).Slug)...)
}

// Progress is how far the password is that the ticket was given for. It returns fault.NotFound for a ticket that nobody has.
func (p *People) Progress(ctx context.Context, ticket string) (out Progress, err error) {
	defer fault.Op(&err, "people.Progress")
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		out = Progress{}
		var activationID, state string
		err := q.Query(ctx, "SELECT id, state FROM identity_activation WHERE ticket = $1", func(r db.Row) error {
			activationID, state = r.Text(0), r.Text(1)
			return nil
		}, hashed(ticket))
		if err != nil {
			return err
		}
		if activationID == "" {
			return fault.NotFound("this is no longer known: sign in")
		}
		if out.Done = state == hashedd; out.Done {
			return nil
		}
		return q.Query(ctx, "SELECT count(*) FROM identity_activation WHERE state = $1 AND id < $2", func(r db.Row) error {
			out.Ahead = int(r.Int64(0))
			return nil
		}, waiting, activationID)
	})
	if err == nil && !out.Done {
		out.Wait = p.queue.estimate(out.Ahead)
		p.queue.wake(tenantOf(ctx)) // should the process that took it be gone
	}
	return out, err
}

// queue hashes the passwords that wait, the tenants in turn, oldest first, gently: charts go first.
type queue struct {
	people *People
	signal chan struct{}

	mu      sync.Mutex
	tenants []scope.Tenant // with passwords that may wait
	each    time.Duration  // that one takes, rests included, as things went lately
	entered uint64         // requests of people at the last look
}

func newQueue(p *People) *queue {
	return &queue{people: p, signal: make(chan struct{}, 1), each: 50 * time.Millisecond}
}

// wake has the tenant's passwords looked at.
func (q *queue) wake(t scope.Tenant) {
	q.mu.Lock()
	known := false
	for _, x := range q.tenants {
		known = known || x.ID == t.ID
	}
	if !known {
		q.tenants = append(q.tenants, t)
	}
	q.mu.Unlock()
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// next takes the tenant whose turn it is.
func (q *queue) next() (scope.Tenant, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tenants) == 0 {
		return scope.Tenant{}, false
	}
	t := q.tenants[0]
	q.tenants = q.tenants[1:]
	return t, true
}

func (q *queue) estimate(ahead int) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Duration(ahead+1) * q.each * time.Duration(max(len(q.tenants), 1))
}

// run works until ctx ends.
func (q *queue) run(ctx context.Context) error {
	sweep := time.NewTimer(0)
	defer sweep.Stop()
	for ctx.Err() == nil {
		t, ok := q.next()
		if !ok {
			select {
			case <-q.signal:
			case <-sweep.C:
				q.sweep(ctx)
				sweep.Reset(sweepRest)
			case <-ctx.Done():
			}
			continue
		}
		more, err := q.batch(scope.WithTenant(ctx, t))
		switch {
		case ctx.Err() != nil:
		case err != nil:
			q.people.deps.Log.WarnContext(ctx, "passwords wait to be hashed and could not be", slog.Int("tenant", int(t.ID)), slog.Any("error", err))
			q.wake(t)
			pause(ctx, time.Second)
		case more:
			q.wake(t)
		}
	}
	return nil
}

// sweep looks at all tenants, for what earlier and other processes left.
func (q *queue) sweep(ctx context.Context) {
	all, err := q.people.deps.Tenants(ctx)
	if err != nil {
		q.people.deps.Log.WarnContext(ctx, "the tenants can't be listed", slog.Any("error", err))
		return
	}
	for i, t := range all {
		if i >= sweepRate { // the first few at once, so that a small installation has its answer
			pause(ctx, time.Second/sweepRate)
		}
		if ctx.Err() != nil {
			return
		}
		q.wake(t)
		if more, err := q.batch(scope.WithTenant(ctx, t)); err != nil || !more {
			q.mu.Lock()
			q.tenants = deleteTenant(q.tenants, t)
			q.mu.Unlock()
		}
	}
}

func deleteTenant(list []scope.Tenant, t scope.Tenant) []scope.Tenant {
	var out []scope.Tenant
	for _, x := range list {
		if x.ID != t.ID {
			out = append(out, x)
		}
	}
	return out
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

type pending struct {
	id, person, phc string
	sealed          []byte
	recovers        bool // the account was active before
}

// batch hashes the oldest of the tenant's passwords, and says whether there may be more.
func (q *queue) batch(ctx context.Context) (more bool, err error) {
	list, err := q.claim(ctx)
	if err != nil || len(list) == 0 {
		return false, err
	}
	more = len(list) == batchSize
	// Several are written at once where they come fast; nobody waits for others for longer than writeEvery.
	from := 0
	var failed error
	wrote := q.people.deps.Clock.Now()
	for i := range list {
		began := q.people.deps.Clock.Now()
		if failed = q.hash(ctx, &list[i]); failed != nil {
			list = list[:i]
			break
		}
		if q.people.deps.Clock.Now().Sub(wrote) >= writeEvery {
			if err := q.finish(context.WithoutCancel(ctx), list[from:i+1]); err != nil {
				return true, err
			}
			from, wrote = i+1, q.people.deps.Clock.Now()
		}
		q.took(q.people.deps.Clock.Now().Sub(began))
	}
	if err := q.finish(context.WithoutCancel(ctx), list[from:]); err != nil {
		return true, err
	}
	return more && failed == nil, failed
}

// claim takes passwords that nobody works on.
func (q *queue) claim(ctx context.Context) (list []pending, err error) {
	now := q.people.now()
	read := func(ctx context.Context, r db.Querier) error {
		list = nil
		return r.Query(ctx, "SELECT a.id, a.person, a.sealed, p.activated FROM identity_activation a JOIN identity_person p ON p.id = a.person WHERE a.state = $1 AND a.lease < $2 ORDER BY a.id LIMIT $3", func(r db.Row) error {
			list = append(list, pending{id: r.Text(0), person: r.Text(1), sealed: append([]byte(nil), r.Bytes(2)...), recovers: r.Int64(3) > 0})
			return nil
		}, waiting, now.UnixMilli(), batchSize)
	}
	if err := q.people.deps.DB.Read(ctx, read); err != nil || len(list) == 0 || q.people.deps.DB.Dialect().Name == db.SQLite {
		return list, err // on SQLite there is no other process
	}
	err = q.people.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := tx.Lock(ctx, "identity_activation"); err != nil {
			return err
		}
		if err := read(ctx, tx); err != nil || len(list) == 0 {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE identity_activation SET lease = $1 WHERE state = $2 AND lease < $3 AND id <= $4",
			now.Add(leaseTime).UnixMilli(), waiting, now.UnixMilli(), list[len(list)-1].id)
		return err
	})
	return list, err
}

// hash computes one, after a rest that leaves the machine to those who wait for charts.
func (q *queue) hash(ctx context.Context, x *pending) error {
	p := q.people
	plain, err := p.open(ctx, "password "+x.id, x.sealed)
	if err != nil {
		return err
	}
	defer clear(plain)
	var took time.Duration
	if x.phc, took, err = p.deps.Pool.HashGently(ctx, string(plain)); err != nil {
		return err
	}
	pause(ctx, q.rest(took))
	return nil
}

// rest is how long nothing is hashed after a hash that took so long: while people work, hashing takes no more than its share of one core's time.
func (q *queue) rest(took time.Duration) time.Duration {
	if q.people.deps.Entered == nil {
		return 0
	}
	now := q.people.deps.Entered()
	q.mu.Lock()
	defer q.mu.Unlock()
	working := now != q.entered
	q.entered = now
	share := q.people.deps.Share
	if !working || share >= 1 {
		return 0
	}
	return min(time.Duration(float64(took)*(1/max(share, 0.01)-1)), longestRest)
}

// longestRest bounds the rest where a hash took long because the machine is full: the queue moves on, whatever the load.
const longestRest = 2 * time.Second

func (q *queue) took(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.each += (d - q.each) / 16
}

// finish writes the hashes in one transaction.
func (q *queue) finish(ctx context.Context, done []pending) error {
	if len(done) == 0 {
		return nil
	}
	p := q.people
	now := p.now()
	var gone revoked
	err := p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		gone = nil
		for i := range done {
			x := &done[i]
			n, err := tx.Exec(ctx, "UPDATE identity_activation SET state = $1, sealed = NULL, finished = $2 WHERE id = $3 AND state = $4", hashedd, now.UnixMilli(), x.id, waiting)
			if err != nil {
				return err
			}
			if n == 0 {
				continue // another process took it for left behind
			}
			if _, err := tx.Exec(ctx, `UPDATE identity_person SET password = $1, state = CASE WHEN state = $2 THEN $3 ELSE state END,
				activated = CASE WHEN activated = 0 THEN $4 ELSE activated END WHERE id = $5`, x.phc, Invited, Active, now.UnixMilli(), x.person); err != nil {
				return err
			}
			// Whoever knew the old password is signed out, here and in apps.
			if x.recovers {
				if err := p.revokeApps(ctx, tx, &gone, x.person); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, "DELETE FROM identity_session WHERE person = $1", x.person); err != nil {
				return err
			}
			if err := p.note(ctx, tx, audit.Account, x.person, "password set"); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "DELETE FROM identity_activation WHERE state = $1 AND id < $2", hashedd, firstID(now.Add(-keepDone)))
		return err
	})
	if err == nil && p.deps.Metrics != nil {
		p.deps.Metrics.Activated(len(done))
	}
	p.deps.Sessions.forget()
	gone.forget()
	return err
}

// firstID is the least UUIDv7 of the time.
func firstID(t time.Time) string {
	ms := fmt.Sprintf("%012x", t.UnixMilli())
	return ms[:8] + "-" + ms[8:] + "-7000-8000-000000000000"
}
