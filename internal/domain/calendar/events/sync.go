package events

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
)

// changes is what happened to a calendar since a token.
type changes struct {
	Changes []change `json:"changes"`
	Token   string   `json:"token"`
	More    bool     `json:"more,omitempty"`
}

type change struct {
	ID      string `json:"id"`
	Deleted bool   `json:"deleted,omitempty"` // it was deleted, or is not this calendar's any more
	Event   *Event `json:"event,omitempty"`

	token string // that stands for all up to this one
}

const syncPage = 500

// A token is the number of the last change that was told, and the last event of those that have it. Numbers are given in the order of
// the commits, under a lock.
func tokenText(number int64, event string) string { return strconv.FormatInt(number, 36) + "." + event }

func openToken(text string) (number int64, event string, err error) {
	if text == "" {
		return 0, "", nil
	}
	n, event, _ := strings.Cut(text, ".")
	number, err = strconv.ParseInt(n, 36, 64)
	if err != nil || number < 0 {
		return 0, "", fault.Invalid("token must be one that was given before; leave it out to begin")
	}
	return number, event, nil
}

// sync tells what changed in a subscriber's calendar since a token, up to 500 events; without a token all that is there.
func (s *Service) sync(ctx context.Context, subscriber, token string) (_ *changes, err error) {
	defer fault.Op(&err, "events.sync")
	number, event, err := openToken(token)
	if err != nil {
		return nil, err
	}
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	out := &changes{Token: token}
	err = s.deps.DB.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		s.queries.Add(2)
		*out = changes{Token: token, Changes: []change{}}
		if token == "" {
			out.Token = tokenText(0, "")
		}
		var ids []string
		err := q.Query(ctx, `SELECT event, changed, gone FROM calendar_subscription WHERE subscriber = $1 AND changed >= $2 AND (changed > $2 OR event > $3)
			ORDER BY changed, event LIMIT $4`, func(r db.Row) error {
			if len(ids) == syncPage {
				out.More = true
				return nil
			}
			ids = append(ids, r.Text(0))
			out.Token = tokenText(r.Int64(1), r.Text(0))
			out.Changes = append(out.Changes, change{ID: r.Text(0), Deleted: r.Bool(2), token: out.Token})
			return nil
		}, subscriber, number, event, syncPage+1)
		if err != nil {
			return err
		}
		have, err := s.load(ctx, q, key, ids)
		if err != nil {
			return err
		}
		for i := range out.Changes {
			if c := &out.Changes[i]; !c.Deleted {
				c.Event = have[c.ID].Event
			}
		}
		return nil
	})
	return out, err
}

func (s *Service) handleSync(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	subscriber := q.Get("subscriber")
	if !referencePattern.MatchString(subscriber) {
		return fault.Invalid("subscriber must be a reference such as Patient/1")
	}
	v := viewerOf(r.Context())
	if err := s.may(r.Context(), &v, []string{subscriber}, false); err != nil {
		return err
	}
	out, err := s.sync(r.Context(), subscriber, q.Get("token"))
	if err != nil {
		return err
	}
	if err := s.seen(r.Context(), audit.History, "", []string{subscriber}, r.URL.RawQuery); err != nil {
		return err
	}
	s.reads.Add(1)
	for i := range out.Changes {
		if c := &out.Changes[i]; c.Event != nil {
			shown, err := s.shown(r.Context(), &v, c.Event)
			if err != nil {
				return err
			}
			c.Event = shown[0]
		}
	}
	return send(w, http.StatusOK, out)
}
