package records

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

const keptSlot = `{"resourceType":"Slot","id":"s","meta":{"tag":[{"system":"` + KeptSystem + `","code":"calendar"}]},"schedule":{"reference":"Schedule/a"},"status":"busy","start":"2026-01-05T09:00:00Z","end":"2026-01-05T09:30:00Z"}`

// joined writes resources in a transaction of the test's own.
func joined(s *Service, ctx context.Context, fail error, resources ...[3]string) error {
	j, err := s.Join(ctx)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		var types, ids []string
		var bodies [][]byte
		for _, r := range resources {
			var body []byte
			if r[2] != "" {
				body = []byte(r[2])
			}
			types, ids, bodies = append(types, r[0]), append(ids, r[1]), append(bodies, body)
		}
		j.Stage(types, ids, bodies)
		if err := s.WriteJoint(ctx, tx, j); err != nil {
			return err
		}
		return fail
	})
	for i, json := range j.Stored() {
		if err == nil && resources[i][2] != "" && !strings.Contains(string(json), `"versionId"`) {
			err = errors.New("what was stored has no version")
		}
	}
	return j.Done(ctx, err)
}

// TestJoint_TrueTogether: what a joint writes is there when the transaction commits, is seen at once in spite of the cache, and is not there when
// the transaction fails.
func TestJoint_TrueTogether(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		put(t, s, ctx, string(numbered("b", 1)))
		if v, err := s.Read(ctx, "Basic", "b"); err != nil || numberIn(v) != 1 {
			t.Fatal(v, err)
		}
		if err := joined(s, ctx, nil, [3]string{"Basic", "b", string(numbered("b", 2))}, [3]string{"Slot", "s", keptSlot}); err != nil {
			t.Fatal(err)
		}
		if v, err := s.Read(ctx, "Basic", "b"); err != nil || numberIn(v) != 2 || v.Number != 2 {
			t.Error("the cache still has what was before:", v, err)
		}
		if found, err := s.Matching(ctx, "Slot", "schedule=Schedule/a&status=busy", 5); err != nil || len(found) != 1 {
			t.Error(found, err)
		}
		gaveUp := errors.New("given up")
		if err := joined(s, ctx, gaveUp, [3]string{"Basic", "b", string(numbered("b", 3))}, [3]string{"Slot", "s", ""}); !errors.Is(err, gaveUp) {
			t.Error(err)
		}
		if v, err := s.Read(ctx, "Basic", "b"); err != nil || numberIn(v) != 2 {
			t.Error("a transaction that failed left a trace:", v, err)
		}
		if err := joined(s, ctx, nil, [3]string{"Slot", "s", ""}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(ctx, "Slot", "s"); !fault.Is(err, fault.CodeGone) {
			t.Error(err)
		}
		if err := joined(s, ctx, nil, [3]string{"Slot", "t", `{"resourceType":"Slot","id":"t","status":"never"}`}); !fault.Is(err, fault.CodeInvalid) {
			t.Error("what is not valid FHIR was written:", err)
		}
	})
}

// TestJoint_ManyAtOnce: joints of many goroutines and ordinary writes don't lose or mix up versions.
func TestJoint_ManyAtOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				for i := range 10 {
					id := fmt.Sprintf("b%d", i%3)
					if n%2 == 0 {
						put(t, s, ctx, string(numbered(id, int64(n))))
						continue
					}
					err := joined(s, ctx, nil, [3]string{"Basic", id, string(numbered(id, int64(n)))})
					if err != nil && !errors.Is(err, db.ErrUnique) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		newWorld(s, ctx).checkIndexes(t)
	})
}

// TestJoint_KeptIsReadOnly: what a domain keeps can be read by everybody and changed by that domain only.
func TestJoint_KeptIsReadOnly(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		if err := joined(c.s, c.ctx, nil, [3]string{"Slot", "s", keptSlot}); err != nil {
			t.Fatal(err)
		}
		c.must(t, http.StatusOK, http.MethodGet, "/Slot/s", "")
		free := `{"resourceType":"Slot","id":"s","schedule":{"reference":"Schedule/a"},"status":"free","start":"2026-01-05T09:00:00Z","end":"2026-01-05T09:30:00Z"}`
		c.do(t, http.MethodPut, "/Slot/s", free).refused(t, http.StatusConflict, "kept by the calendar")
		c.do(t, http.MethodDelete, "/Slot/s", "").refused(t, http.StatusConflict, "kept by the calendar")
		c.do(t, http.MethodPatch, "/Slot/s", `[{"op":"replace","path":"/status","value":"free"}]`, "Content-Type", "application/json-patch+json").
			refused(t, http.StatusConflict, "kept by the calendar")
		c.do(t, http.MethodPost, "/Slot/s/$meta-delete", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"`+KeptSystem+`","code":"calendar"}]}}]}`).
			refused(t, http.StatusConflict, "kept by the calendar")
		c.do(t, http.MethodPost, "/Slot", keptSlot).refused(t, http.StatusUnprocessableEntity, KeptSystem)
		c.do(t, http.MethodPost, "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Slot/s"}}]}`).
			refused(t, http.StatusConflict, "kept by the calendar")
		c.must(t, http.StatusCreated, http.MethodPost, "/Slot", free)
	})
}
