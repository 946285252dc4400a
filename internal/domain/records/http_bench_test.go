package records

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// sink takes an answer without keeping it.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

// BenchmarkHTTP_Read answers a read by id through the whole server, without the wire; "bare" is a handler that writes
// the same bytes with the same headers, the least that it can cost.
func BenchmarkHTTP_Read(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		c := newClient(ctx, b, s)
		v := put(b, s, ctx, vitalSigns(1))
		request := func() *http.Request {
			r := httptest.NewRequestWithContext(ctx, "GET", testBase+"/Observation/"+v.ID, nil)
			r.Header.Set("Authorization", "Bearer admin")
			r.Header.Set("Accept", "application/fhir+json")
			return r
		}
		b.Run("ward", func(b *testing.B) {
			b.ReportAllocs()
			r := request()
			for b.Loop() {
				c.handler.ServeHTTP(&sink{http.Header{}}, r)
			}
		})
		b.Run("bare", func(b *testing.B) {
			b.ReportAllocs()
			mux := http.NewServeMux()
			mux.HandleFunc("GET /t/{tenant}/fhir/{type}/{id}", func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h.Set("Content-Type", "application/fhir+json; charset=utf-8")
				h.Set("Content-Length", strconv.Itoa(len(v.JSON)))
				_, _ = w.Write(v.JSON)
			})
			r := request()
			for b.Loop() {
				mux.ServeHTTP(&sink{http.Header{}}, r)
			}
		})
	})
}

// BenchmarkHTTP_Search answers patient + code, newest 20, of a warm chart.
func BenchmarkHTTP_Search(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		c := newClient(ctx, b, s)
		var list [][]byte
		for i := range 400 {
			list = append(list, []byte(vitalSigns(i*10)))
		}
		if _, err := s.ImportResources(ctx, list); err != nil {
			b.Fatal(err)
		}
		r := httptest.NewRequestWithContext(ctx, "GET", testBase+"/Observation?patient=p0&code=85354-9&_sort=-date&_count=20", nil)
		r.Header.Set("Authorization", "Bearer admin")
		b.ReportAllocs()
		for b.Loop() {
			c.handler.ServeHTTP(&sink{http.Header{}}, r)
		}
	})
}
