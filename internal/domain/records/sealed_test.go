package records

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/seal"
	"ward/internal/kernel/seal/sealtest"
)

// stored gives the bodies of a table, by version.
func stored(t *testing.T, s *Service, ctx context.Context, table string) map[int64][]byte {
	t.Helper()
	bodies := map[int64][]byte{}
	err := s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "SELECT version, body FROM "+table, func(r db.Row) error {
			bodies[r.Int64(0)] = bytes.Clone(r.Bytes(1))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return bodies
}

// TestSealed_NothingOfABodyIsStoredInTheClear: current versions and history, by every way in which they are written.
func TestSealed_NothingOfABodyIsStoredInTheClear(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		put(t, s, ctx, `{"resourceType":"Patient","id":"p","name":[{"family":"Unmistakable"}],"birthDate":"1970-03-04"}`)
		put(t, s, ctx, `{"resourceType":"Patient","id":"p","name":[{"family":"Unmistakable","given":["Too"]}]}`)
		put(t, s, ctx, `{"resourceType":"Patient","id":"p","name":[{"family":"Unmistakable","given":["Three"]}]}`)
		current, history := stored(t, s, ctx, "records_resource"), stored(t, s, ctx, "records_history")
		if len(current) != 1 || len(history) != 2 {
			t.Fatalf("%d and %d versions", len(current), len(history))
		}
		for number, body := range map[int64][]byte{1: history[1], 2: history[2], 3: current[3]} {
			if len(body) < seal.Overhead || body[0] != seal.Sealed || bytes.Contains(body, []byte("Unmistakable")) || bytes.Contains(body, []byte("Patient")) {
				t.Errorf("version %d is stored as %q", number, body)
			}
		}
	})
}

// TestSealed_ABodyIsBoundToItsPlace: bodies that somebody swaps in the database, between versions or tenants, do not open.
func TestSealed_ABodyIsBoundToItsPlace(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		other := freshTenant(t.Context())
		for _, ctx := range []context.Context{ctx, other} {
			put(t, s, ctx, `{"resourceType":"Patient","id":"p","name":[{"family":"First"}]}`)
			put(t, s, ctx, `{"resourceType":"Patient","id":"p","name":[{"family":"Second"}]}`)
		}
		put(t, s, ctx, `{"resourceType":"Patient","id":"q","name":[{"family":"Another"}]}`)
		put(t, s, ctx, `{"resourceType":"Patient","id":"q","name":[{"family":"Another"}]}`)
		bodies := map[string][]byte{
			"an older version": stored(t, s, ctx, "records_history")[1],
			"another tenant's": stored(t, s, other, "records_resource")[2],
		}
		for name, body := range bodies {
			set(t, s, ctx, body)
			if v, err := s.read1(ctx, "Patient", "p"); !fault.Is(err, fault.CodeInternal) {
				t.Errorf("%s was taken: %+v %v", name, v, err)
			}
		}
	})
}

// read1 reads past the caches.
func (s *Service) read1(ctx context.Context, typ, id string) (v *Version, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		v, err = s.read(ctx, q, typ, id)
		return err
	})
	return v, err
}

func set(t *testing.T, s *Service, ctx context.Context, body []byte) {
	t.Helper()
	err := s.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE records_resource SET body = $1 WHERE type = $2 AND id = $3", body, s.number("Patient"), encodeID("p"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSealed_WithoutItsKeysATenantIsGone: after its keys were destroyed nothing of the tenant is read, and others are as before.
func TestSealed_WithoutItsKeysATenantIsGone(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		other := freshTenant(t.Context())
		for _, ctx := range []context.Context{ctx, other} {
			put(t, s, ctx, `{"resourceType":"Patient","id":"p","name":[{"family":"Gone"}]}`)
			put(t, s, ctx, `{"resourceType":"Patient","id":"p","name":[{"family":"Gone","given":["Too"]}]}`)
		}
		sc, _ := scope.From(ctx)
		keys, ok := s.keys.(*seal.Keys)
		if !ok {
			t.Fatal("other keys")
		}
		if _, err := keys.Destroy(t.Context(), sc.Tenant.ID); err != nil {
			t.Fatal(err)
		}
		if v, err := s.read1(ctx, "Patient", "p"); !fault.Is(err, fault.CodeGone) {
			t.Errorf("read: %+v %v", v, err)
		}
		err := s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
			_, err := s.versionRead(ctx, q, "Patient", "p", 1)
			return err
		})
		if !fault.Is(err, fault.CodeGone) {
			t.Errorf("history: %v", err)
		}
		c, err := s.prepare(ctx, "Patient", "new", OpUpdate, []byte(`{"resourceType":"Patient","id":"new"}`))
		if err == nil {
			err = s.commit(ctx, c)
		}
		if !fault.Is(err, fault.CodeGone) {
			t.Errorf("a write: %v", err)
		}
		if _, err := s.read1(other, "Patient", "p"); err != nil {
			t.Errorf("the other tenant: %v", err)
		}
	})
}

// BenchmarkSealed is a read by id from the database, past the caches, sealed and in the clear by turns, so that what else the machine does meets both.
// of-clear is the ratio of the median rates.
func BenchmarkSealed(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		const reads = 50 // in a turn
		keys := [2]Keys{sealtest.Off(b, s.db), s.keys}
		ids := [2]string{"clear", "sealed"}
		for i, id := range ids {
			s.keys = keys[i]
			put(b, s, ctx, `{"resourceType":"Patient","id":"`+id+`","name":[{"family":"Family","given":["Given"]}],"birthDate":"1970-03-04",`+
				`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">`+string(bytes.Repeat([]byte("A narrative of some length. "), 40))+`</div>"}}`)
		}
		var took [2][]time.Duration
		for b.Loop() {
			for i, id := range ids {
				s.keys = keys[i]
				began := time.Now()
				for range reads {
					if _, err := s.read1(ctx, "Patient", id); err != nil {
						b.Fatal(err)
					}
				}
				took[i] = append(took[i], time.Since(began))
			}
		}
		var median [2]time.Duration
		for i := range took {
			slices.Sort(took[i])
			median[i] = took[i][len(took[i])/2]
			b.ReportMetric(float64(median[i].Nanoseconds())/reads, ids[i]+"-ns/read")
		}
		b.ReportMetric(float64(median[0])/float64(median[1]), "of-clear")
	})
}
