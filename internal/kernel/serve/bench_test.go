package serve_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"ward/internal/kernel/serve"
)

const bodySize = 1200

// sink is a ResponseWriter that costs next to nothing, to see the chain alone.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// BenchmarkChain measures what the chain adds to a handler that writes 1,200 bytes: bare is the handler itself.
// Limit: 6 µs and few allocations.
func BenchmarkChain(b *testing.B) {
	body := []byte(strings.Repeat("x", bodySize))
	plain := func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/fhir+json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}
	s, _ := newServer(b, serve.Options{}, route("GET", "/t/{tenant}/bench/{id}", func(w http.ResponseWriter, r *http.Request) error {
		plain(w, r)
		return nil
	}))
	for name, h := range map[string]http.Handler{"bare": http.HandlerFunc(plain), "chain": s.Handler()} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), "GET", "/t/demo/bench/1", nil)
			r.Header.Set("Authorization", "Bearer doctor")
			b.ReportAllocs()
			for b.Loop() {
				w := &sink{header: http.Header{}}
				h.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkOverTCP compares the server with bare net/http answering the same bytes over keep-alive connections on this machine.
func BenchmarkOverTCP(b *testing.B) {
	body := []byte(strings.Repeat("x", bodySize))
	plain := func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/fhir+json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}
	s, _ := newServer(b, serve.Options{}, route("GET", "/t/{tenant}/bench/{id}", func(w http.ResponseWriter, r *http.Request) error {
		plain(w, r)
		return nil
	}))
	for name, h := range map[string]http.Handler{"bare": http.HandlerFunc(plain), "ward": s.Handler()} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(h)
			defer server.Close()
			request := "GET /t/demo/bench/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer doctor\r\n\r\n"
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				c, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // a benchmark's connection
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				in := bufio.NewReader(c)
				for pb.Next() {
					if _, err := io.WriteString(c, request); err != nil {
						b.Error(err)
						return
					}
					for {
						line, err := in.ReadSlice('\n')
						if err != nil {
							b.Error(err)
							return
						}
						if len(line) == 2 {
							break
						}
					}
					if _, err := in.Discard(bodySize); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
