package bustest

import (
	"context"
	"net"
	"os/exec"
	"testing"

	"ward/internal/base/testenv"
)

// Server is a NATS server of its own that a test kills and starts again, on the same port and folder.
type Server struct {
	t         testing.TB
	port, dir string
	process   *exec.Cmd
}

// NewServer is a server that does not run yet. It is killed when the test ends.
func NewServer(t testing.TB) *Server {
	t.Helper()
	if _, err := exec.LookPath("nats-server"); err != nil {
		testenv.Missing(t, "nats-server is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	s := &Server{t: t, port: port, dir: t.TempDir()}
	t.Cleanup(s.Kill)
	return s
}

// URL is where the server is, or will be.
func (s *Server) URL() string { return "nats://127.0.0.1:" + s.port }

// Start starts the server and does not wait until it answers.
func (s *Server) Start() {
	s.t.Helper()
	s.process = exec.CommandContext(context.WithoutCancel(s.t.Context()), "nats-server", "-a", "127.0.0.1", "-p", s.port, "-js", "-sd", s.dir) //nolint:gosec // a test's
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}
