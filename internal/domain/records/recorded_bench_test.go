package records

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"ward/internal/backend/db/dbtest"
	"ward/internal/kernel/audit"
)

// BenchmarkAudit_Read is a read by id from the cache through the whole server, without and with the log, its writing included: "seam" is with.
func BenchmarkAudit_Read(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		read := auditedReads(b, s, ctx)
		dbtest.Compare(b, "reads/s", 1, read(false), read(true))
	})
}

// auditedReads gives the two sides: reads that are on record, and reads that are not.
func auditedReads(b *testing.B, s *Service, ctx context.Context) func(on bool) func(b *testing.B) {
	b.Helper()
	log, err := audit.New(audit.Deps{DB: s.db, Secret: []byte("the secret of this installation")})
	if err != nil {
		b.Fatal(err)
	}
	dbtest.Migrate(b, s.db, "audit", log.Module().Migrations)
	c := newClient(ctx, b, s)
	v := put(b, s, ctx, vitalSigns(1))
	return func(on bool) func(b *testing.B) {
		return func(b *testing.B) {
			s.audit = nil
			if on {
				s.audit = log
			}
			defer func() { s.audit = nil }()
			writing, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- log.Write(writing) }()
			r := httptest.NewRequestWithContext(ctx, "GET", testBase+"/Observation/"+v.ID, nil)
			r.Header.Set("Authorization", "Bearer admin")
			r.Header.Set("Accept", "application/fhir+json")
			for b.Loop() {
				c.handler.ServeHTTP(&sink{http.Header{}}, r)
			}
			stop()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		}
	}
}
