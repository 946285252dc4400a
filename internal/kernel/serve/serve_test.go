package serve_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/serve"
)

// house stands for the tenants and tokens of a system database.
type house struct{}

func (house) Find(_ context.Context, slug string) (scope.Tenant, error) {
	switch slug {
	case "demo":
		return scope.Tenant{ID: 1, Slug: slug}, nil
	case "north":
		return scope.Tenant{ID: 2, Slug: slug}, nil
	case "asleep":
		return scope.Tenant{}, fault.Denied("this tenant is suspended")
	default:
		return scope.Tenant{}, fault.NotFound("there is no such tenant")
	}
}

func (house) Verify(_ context.Context, token string) (scope.Principal, int32, error) {
	switch token {
	case "doctor":
		return scope.Principal{ID: "t1", Role: access.Clinician}, 1, nil
	case "visitor":
		return scope.Principal{ID: "t2", Role: access.Operator}, 1, nil
	case "northern":
		return scope.Principal{ID: "t3", Role: access.Clinician}, 2, nil
	case "operator":
		return scope.Principal{ID: "t4", Role: access.Operator}, 0, nil
	default:
		return scope.Principal{}, 0, fault.Unauthenticated("the token is not good")
	}
}

var long = strings.Repeat(`{"resourceType":"Observation"}`, 200)

func route(method, pattern string, handler func(w http.ResponseWriter, r *http.Request) error) module.Route {
	return module.Route{
		Method: method, Pattern: pattern, Target: module.API, Lane: module.Interactive, Permission: access.RecordsRead,
		Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: "A test's route", Handler: handler,
	}
}

func routes() []module.Route {
	public := route("GET", "/t/{tenant}/fhir/metadata", func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(w, "public")
		return err
	})
	public.Public, public.Permission = true, ""
	upload := route("POST", "/t/{tenant}/fhir/{type}", func(w http.ResponseWriter, r *http.Request) error {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	})
	upload.BodyLimit = 10_000
	slow := route("GET", "/t/{tenant}/slow", func(_ http.ResponseWriter, r *http.Request) error {
		<-r.Context().Done()
		return r.Context().Err()
	})
	slow.Timeout = 10 * time.Millisecond
	admin := route("GET", "/admin/tenants", func(w http.ResponseWriter, r *http.Request) error {
		s, _ := scope.From(r.Context())
		return json.NewEncoder(w).Encode(s)
	})
	admin.Permission = access.SystemManage
	return []module.Route{
		public, upload, slow, admin,
		route("GET", "/t/{tenant}/fhir/{type}/{id}", func(w http.ResponseWriter, r *http.Request) error {
			s, _ := scope.From(r.Context())
			w.Header().Set("Content-Type", "application/fhir+json")
			return json.NewEncoder(w).Encode(map[string]any{"tenant": s.Tenant.Slug, "role": s.Principal.Role, "id": r.PathValue("id")})
		}),
		route("GET", "/t/{tenant}/fhir/{type}", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "application/fhir+json")
			for part := range strings.SplitAfterSeq(long, "}") {
				if _, err := io.WriteString(w, part); err != nil {
					return err
				}
			}
			return nil
		}),
		route("GET", "/t/{tenant}/panic", func(http.ResponseWriter, *http.Request) error { panic("secret of a patient") }),
		route("GET", "/t/{tenant}/half", func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			return errors.New("it broke")
		}),
		route("GET", "/t/{tenant}/conflict", func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("ETag", `W/"1"`)
			return fault.Conflict("somebody else was first").Detail(fault.Detail{Message: "which", Expression: "Patient.id", Line: 3}).Retry(1500 * time.Millisecond)
		}),
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newServer(t testing.TB, o serve.Options, extra ...module.Route) (*serve.Server, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	s, err := serve.New(serve.Deps{
		Routes: append(routes(), extra...), Tenants: house{}, Tokens: house{}, Lanes: limit.NewLanes(limit.Options{}),
		Metrics: observe.NewMetrics(), Log: observe.NewLogger(log, slog.LevelInfo, false), Clock: clock.System(),
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}

func newServerAt(t *testing.T, c clock.Clock, o serve.Options) *serve.Server {
	t.Helper()
	s, err := serve.New(serve.Deps{
		Routes: routes(), Tenants: house{}, Tokens: house{}, Lanes: limit.NewLanes(limit.Options{}), Metrics: observe.NewMetrics(),
		Log: slog.New(slog.DiscardHandler), Clock: c,
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(t *testing.T, s *serve.Server, method, target, token string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, body)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestServer_WhoMayWhat(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, serve.Options{})
	for _, row := range []struct {
		name, method, target, token string
		status                      int
		body                        string
	}{
		{"no token", "GET", "/t/demo/fhir/Patient/1", "", 401, "a token is needed"},
		{"bad token", "GET", "/t/demo/fhir/Patient/1", "x", 401, "not good"},
		{"a good token", "GET", "/t/demo/fhir/Patient/1", "doctor", 200, `"tenant":"demo"`},
		{"base with a slash", "GET", "/t/demo/fhir/Patient/1/", "doctor", 200, `"id":"1"`},
		{"HEAD", "HEAD", "/t/demo/fhir/Patient/1", "doctor", 200, ""},
		{"another tenant's token", "GET", "/t/demo/fhir/Patient/1", "northern", 403, "not for this tenant"},
		{"the system's token", "GET", "/t/demo/fhir/Patient/1", "operator", 403, "not for this tenant"},
		{"a role without the permission", "GET", "/t/demo/fhir/Patient/1", "visitor", 403, "it needs records.read"},
		{"no such tenant", "GET", "/t/nowhere/fhir/Patient/1", "doctor", 404, "no such tenant"},
		{"no such tenant, public", "GET", "/t/nowhere/fhir/metadata", "", 404, "OperationOutcome"},
		{"suspended tenant", "GET", "/t/asleep/fhir/Patient/1", "doctor", 403, "suspended"},
		{"public", "GET", "/t/demo/fhir/metadata", "", 200, "public"},
		{"operators", "GET", "/admin/tenants", "operator", 200, `"System":true`},
		{"operators only", "GET", "/admin/tenants", "doctor", 403, "not for this tenant"},
		{"no such path", "GET", "/nothing", "doctor", 404, `"code":"not-found"`},
		{"no such FHIR path", "GET", "/t/demo/fhir/a/b/c/d", "doctor", 404, "OperationOutcome"},
		{"no such method", "DELETE", "/t/demo/fhir/Patient", "doctor", 405, "GET, HEAD, POST"},
		{"health is elsewhere", "GET", "/healthz", "", 404, ""},
		{"dots", "GET", "/t/demo/fhir/../admin", "doctor", 400, "dot segment"},
		{"encoded dots", "GET", "/t/demo/fhir/%2e%2e/admin", "doctor", 400, ""},
		{"encoded slash", "GET", "/t/demo%2ffhir/Patient", "doctor", 400, "encoded separator"},
		{"backslash", "GET", "/t/demo/fhir/Patient%5C1", "doctor", 400, ""},
		{"NUL", "GET", "/t/demo/fhir/Patient/%00", "doctor", 400, "character"},
		{"empty segment", "GET", "/t//fhir/Patient", "doctor", 400, "empty segment"},
		{"a long URL", "GET", "/t/demo/fhir/Patient?name=" + strings.Repeat("a", 8200), "doctor", 414, "by POST"},
		{"a panic", "GET", "/t/demo/panic", "doctor", 500, `"detail":"internal error"`},
		{"a fault", "GET", "/t/demo/conflict", "doctor", 409, `"pointer":"Patient.id","line":3`},
		{"too slow", "GET", "/t/demo/slow", "doctor", 503, `"code":"timeout"`},
	} {
		w := get(t, s, row.method, row.target, row.token, nil)
		if w.Code != row.status || !strings.Contains(w.Body.String(), row.body) {
			t.Errorf("%s: %d %s", row.name, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s tells what it should not: %s", row.name, w.Body)
		}
		if w.Header().Get("X-Request-Id") == "" || w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") == "" {
			t.Errorf("%s: header %v", row.name, w.Header())
		}
		if (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") || (w.Code == 405) != (w.Header().Get("Allow") != "") {
			t.Errorf("%s: header %v", row.name, w.Header())
		}
		if row.status == 409 && (w.Header().Get("Retry-After") != "2" || w.Header().Get("ETag") != "") {
			t.Errorf("%s: header %v", row.name, w.Header())
		}
	}
}

func TestServer_RequestID(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, serve.Options{})
	for given, want := range map[string]bool{"abc-1": true, "a b": false, "": false} {
		got := get(t, s, "GET", "/t/demo/fhir/Patient/1", "doctor", nil, "X-Request-Id", given).Header().Get("X-Request-Id")
		if (got == given) != want {
			t.Errorf("%q became %q", given, got)
		}
	}
}

func TestServer_BodyLimitIsStreamed(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, serve.Options{})
	for name, row := range map[string]struct {
		size   int
		known  bool
		status int
	}{
		"fits":                 {10_000, true, 200},
		"fits, unknown length": {10_000, false, 200},
		"too long":             {10_001, true, 413},
		"too long, unknown":    {10_001, false, 413},
		"much too long":        {1_000_000, false, 413},
	} {
		var body io.Reader = strings.NewReader(strings.Repeat("a", row.size))
		if !row.known {
			body = struct{ io.Reader }{body}
		}
		w := get(t, s, "POST", "/t/demo/fhir/Patient", "doctor", body)
		if w.Code != row.status || (w.Code == 200 && w.Body.Len() != row.size) {
			t.Errorf("%s: %d, %d bytes", name, w.Code, w.Body.Len())
		}
		if w.Code == 413 && !strings.Contains(w.Body.String(), "10000 bytes") {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

func TestServer_Compresses(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, serve.Options{})
	unzip := func(r io.Reader) io.Reader {
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Error(err)
		}
		return z
	}
	unzstd := func(r io.Reader) io.Reader {
		z, err := zstd.NewReader(r)
		if err != nil {
			t.Error(err)
		}
		return z
	}
	plain := func(r io.Reader) io.Reader { return r }
	for _, row := range []struct {
		accepts, want string
		decode        func(io.Reader) io.Reader
	}{
		{"", "", plain},
		{"gzip", "gzip", unzip},
		{"gzip, zstd", "zstd", unzstd},
		{"gzip;q=1.0, zstd;q=0.5", "gzip", unzip},
		{"br, *;q=0", "", plain},
		{"gzip;q=0", "", plain},
	} {
		w := get(t, s, "GET", "/t/demo/fhir/Observation", "doctor", nil, "Accept-Encoding", row.accepts)
		if got := w.Header().Get("Content-Encoding"); got != row.want {
			t.Fatalf("%q: %q", row.accepts, got)
		}
		size := w.Body.Len()
		body, err := io.ReadAll(row.decode(w.Body))
		if err != nil || string(body) != long {
			t.Errorf("%q: %v, %d bytes", row.accepts, err, len(body))
		}
		if row.want != "" && (size > len(long)/4 || w.Header().Get("Vary") != "Accept-Encoding") {
			t.Errorf("%q: %d bytes, %v", row.accepts, size, w.Header())
		}
	}
	w := get(t, s, "GET", "/t/demo/fhir/Patient/1", "doctor", nil, "Accept-Encoding", "gzip")
	if w.Header().Get("Content-Encoding") != "" || !strings.Contains(w.Body.String(), "demo") {
		t.Errorf("a short answer: %v %s", w.Header(), w.Body)
	}
}

func TestServer_LogsFaultsNotPaths(t *testing.T) {
	t.Parallel()
	s, log := newServer(t, serve.Options{LogSample: 1})
	get(t, s, "GET", "/t/demo/fhir/Patient/chalmers?name=chalmers", "doctor", nil)
	get(t, s, "GET", "/t/demo/panic?name=chalmers", "doctor", nil)
	lines := log.String()
	if strings.Contains(lines, "chalmers") {
		t.Errorf("the log holds a path or a query: %s", lines)
	}
	for _, want := range []string{`"route":"GET /t/{tenant}/fhir/{type}/{id}"`, `"status":200`, `"status":500`, `"level":"ERROR"`, "a handler panicked"} {
		if !strings.Contains(lines, want) {
			t.Errorf("the log lacks %s: %s", want, lines)
		}
	}
}

func TestServer_MetricsAreLabelledByPattern(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, serve.Options{})
	get(t, s, "GET", "/t/demo/fhir/Patient/chalmers", "doctor", nil)
	get(t, s, "GET", "/no/such/path", "", nil)
	w := httptest.NewRecorder()
	s.Ops().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	for _, want := range []string{
		`ward_http_request_seconds_count{lane="interactive",method="GET",pattern="/t/{tenant}/fhir/{type}/{id}",status="2xx"} 1`,
		`pattern="none",status="4xx"} 1`, `ward_lane_running{lane="background"} 0`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), "chalmers") || strings.Contains(w.Body.String(), "demo") {
		t.Error("the metrics hold a path")
	}
}

func TestServer_RefusesContradictingRoutes(t *testing.T) {
	t.Parallel()
	clash := route("GET", "/t/{tenant}/fhir/{kind}/{id}", func(http.ResponseWriter, *http.Request) error { return nil })
	_, err := serve.New(serve.Deps{Routes: append(routes(), clash), Metrics: observe.NewMetrics(), Lanes: limit.NewLanes(limit.Options{}), Clock: clock.System(), Log: slog.New(slog.DiscardHandler)}, serve.Options{})
	if !fault.Is(err, fault.CodeInvalid) {
		t.Error(err)
	}
	_, err = serve.New(serve.Deps{Metrics: observe.NewMetrics(), Lanes: limit.NewLanes(limit.Options{}), Clock: clock.System(), Log: slog.New(slog.DiscardHandler)}, serve.Options{Certificate: "x"})
	if err == nil || !strings.Contains(err.Error(), "http.key") {
		t.Error(err)
	}
}

func TestServer_ServesOnlyItsTargets(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, serve.Options{Targets: module.Web | module.Ops})
	if w := get(t, s, "GET", "/t/demo/fhir/Patient/1", "doctor", nil); w.Code != 404 {
		t.Errorf("an API route on the web target: %d", w.Code)
	}
}

func TestServer_DrainsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	held := route("GET", "/t/{tenant}/held", func(w http.ResponseWriter, _ *http.Request) error {
		close(entered)
		<-leave
		_, err := io.WriteString(w, "done")
		return err
	})
	s, _ := newServer(t, serve.Options{Listen: "127.0.0.1:0", OpsListen: "127.0.0.1:0"}, held)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	status := func(path string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.OpsAddr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	if status("/healthz") != 200 || status("/readyz") != 200 {
		t.Error("not ready")
	}
	answered := make(chan string)
	go func() {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Addr()+"/t/demo/held", nil)
		r.Header.Set("Authorization", "Bearer doctor")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answered <- string(b)
	}()
	<-entered
	drained := make(chan error)
	go func() { drained <- s.Drain(t.Context()) }()
	for status("/readyz") != 503 { //nolint:revive // waits for the drain to begin
	}
	close(leave)
	if got := <-answered; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.Addr()); err == nil { //nolint:noctx // a test's probe
		t.Error("the door is still open")
	}
	if status("/healthz") != 200 {
		t.Error("health went with the door")
	}
}

func TestServer_HalfAnAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, serve.Options{Listen: "127.0.0.1:0", OpsListen: "127.0.0.1:0"})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		var p http.Protocols
		p.SetHTTP1(version == "HTTP/1.1")
		p.SetUnencryptedHTTP2(version == "HTTP/2.0")
		client := &http.Client{Transport: &http.Transport{Protocols: &p}}
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Addr()+"/t/demo/half", nil)
		r.Header.Set("Authorization", "Bearer doctor")
		res, err := client.Do(r)
		if err != nil {
			continue // cut off before the header: as good
		}
		if res.Proto != version {
			t.Errorf("spoke %s instead of %s", res.Proto, version)
		}
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%s: half an answer was taken for a whole one: %q", version, b)
		}
		res.Body.Close()
		client.CloseIdleConnections()
	}
}

func TestServer_AddressTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's listener
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, _ := newServer(t, serve.Options{Listen: l.Addr().String(), OpsListen: "127.0.0.1:0"})
	if err := s.Start(t.Context()); err == nil || !strings.Contains(fault.Message(err), "http.listen") {
		t.Error(err)
	}
}

// certify writes a certificate for 127.0.0.1 and its key, and gives a pool that trusts it.
func certify(t *testing.T, certificate, key, name string) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

func TestServer_TLSWithHTTP2AndRenewal(t *testing.T) {
	t.Parallel()
	certificate, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	pool := certify(t, certificate, key, "first")
	now := clock.NewManual(time.Now())
	s := newServerAt(t, now, serve.Options{Listen: "127.0.0.1:0", OpsListen: "127.0.0.1:0", Certificate: certificate, Key: key})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	fetch := func(pool *x509.CertPool) (*http.Response, error) {
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
		defer client.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+s.Addr()+"/t/demo/fhir/metadata", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(r)
		if err == nil {
			res.Body.Close()
		}
		return res, err
	}
	res, err := fetch(pool)
	if err != nil || res.Proto != "HTTP/2.0" || res.StatusCode != 200 || res.Header.Get("Strict-Transport-Security") == "" {
		t.Fatalf("%+v %v", res, err)
	}
	renewed := certify(t, certificate, key, "second")
	if err := os.Chtimes(certificate, time.Now(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	now.Advance(time.Minute)
	if _, err := fetch(renewed); err != nil {
		t.Errorf("the renewed certificate is not served: %v", err)
	}
	if err := os.WriteFile(key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(certificate, time.Now(), time.Now().Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	now.Advance(time.Minute)
	if _, err := fetch(renewed); err != nil {
		t.Errorf("half-renewed files took the server down: %v", err)
	}
}

func TestServer_Traces(t *testing.T) {
	t.Parallel()
	var got lockedBuffer
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&got, r.Body)
	}))
	defer collector.Close()
	traces, err := observe.NewTraces(t.Context(), observe.TraceOptions{Endpoint: collector.URL, Ratio: 0, Service: "ward", Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Deps{
		Routes: routes(), Tenants: house{}, Tokens: house{}, Lanes: limit.NewLanes(limit.Options{}), Metrics: observe.NewMetrics(), Traces: traces,
		Log: slog.New(slog.DiscardHandler), Clock: clock.System(),
	}, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	get(t, s, "GET", "/t/demo/fhir/Patient/chalmers", "doctor", nil, "Traceparent", parent)
	get(t, s, "GET", "/t/demo/fhir/Practitioner/nobody", "doctor", nil) // not sampled
	if err := traces.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := got.String()
	if !strings.Contains(sent, "/t/{tenant}/fhir/{type}/{id}") || !strings.Contains(sent, "\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6") {
		t.Errorf("no span of the caller's trace in %q", sent)
	}
	if strings.Contains(sent, "chalmers") || strings.Contains(sent, "nobody") {
		t.Error("a span holds a path")
	}
}

// signedIn is a browser's session by a cookie.
type signedIn struct{}

func (signedIn) Has(tenant scope.Tenant, r *http.Request) bool {
	_, err := r.Cookie("session-" + tenant.Slug)
	return err == nil
}

func (signedIn) Principal(ctx context.Context, r *http.Request) (scope.Principal, error) {
	s, _ := scope.From(ctx)
	if c, err := r.Cookie("session-" + s.Tenant.Slug); err != nil || c.Value != "good" {
		return scope.Principal{}, fault.Unauthenticated("nobody is signed in")
	}
	return scope.Principal{ID: "user/1", Role: access.Clinician}, nil
}

func TestServer_SessionsOfBrowsers(t *testing.T) {
	t.Parallel()
	s, err := serve.New(serve.Deps{
		Routes: routes(), Tenants: house{}, Tokens: house{}, Sessions: signedIn{}, Lanes: limit.NewLanes(limit.Options{}), Metrics: observe.NewMetrics(),
		Log: slog.New(slog.DiscardHandler), Clock: clock.System(),
	}, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, method, target, token string
		header                      []string
		status                      int
	}{
		{"a session", "GET", "/t/demo/fhir/Patient/1", "", []string{"Cookie", "session-demo=good"}, 200},
		{"a session that ended", "GET", "/t/demo/fhir/Patient/1", "", []string{"Cookie", "session-demo=bad"}, 401},
		{"another tenant's session", "GET", "/t/north/fhir/Patient/1", "", []string{"Cookie", "session-demo=good"}, 401},
		{"a token beside a session counts", "GET", "/t/demo/fhir/Patient/1", "northern", []string{"Cookie", "session-demo=good"}, 403},
		{"no one's session is an operator's", "GET", "/admin/tenants", "", []string{"Cookie", "session-demo=good"}, 401},
		{"a change from an own page", "POST", "/t/demo/fhir/Patient", "", []string{"Cookie", "session-demo=good", "Sec-Fetch-Site", "same-origin"}, 200},
		{"a change from a program", "POST", "/t/demo/fhir/Patient", "", []string{"Cookie", "session-demo=good"}, 200},
		{"a change from another site", "POST", "/t/demo/fhir/Patient", "", []string{"Cookie", "session-demo=good", "Sec-Fetch-Site", "cross-site"}, 403},
		{"a change from a sister site", "POST", "/t/demo/fhir/Patient", "", []string{"Cookie", "session-demo=good", "Sec-Fetch-Site", "same-site"}, 403},
		{"a change from another origin", "POST", "/t/demo/fhir/Patient", "", []string{"Cookie", "session-demo=good", "Origin", "https://evil.example"}, 403},
		{"a token's change from another site", "POST", "/t/demo/fhir/Patient", "doctor", []string{"Sec-Fetch-Site", "cross-site"}, 200},
		{"a link from another site", "GET", "/t/demo/fhir/Patient/1", "", []string{"Cookie", "session-demo=good", "Sec-Fetch-Site", "cross-site"}, 200},
	} {
		if w := get(t, s, row.method, row.target, row.token, nil, row.header...); w.Code != row.status {
			t.Errorf("%s: %d %s", row.name, w.Code, w.Body)
		}
	}
}
