package people_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/phi"
	"ward/internal/kernel/identity/people"
)

// post is a mail server for one mail.
type post struct {
	offers   bool // STARTTLS
	implicit bool
	refuses  string // the recipient is answered so
	tls      *tls.Config
	got      chan string // the commands and the mail
}

func (p *post) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p.got = make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if p.implicit {
			conn = tls.Server(conn, p.tls)
		}
		p.got <- p.talk(conn)
	}()
	return l.Addr().String()
}

func (p *post) talk(conn net.Conn) string {
	var seen strings.Builder
	in := bufio.NewReader(conn)
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mail.example ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return seen.String()
		}
		seen.WriteString(line)
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); verb {
		case "EHLO":
			if p.offers {
				say("250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN")
				continue
			}
			say("250-mail.example\r\n250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go")
			conn = tls.Server(conn, p.tls)
			in = bufio.NewReader(conn)
			p.offers = false
		case "RCPT":
			if p.refuses != "" {
				say(p.refuses)
				continue
			}
			say("250 ok")
		case "AUTH":
			say("235 ok")
		case "DATA":
			say("354 go")
			for {
				line, err := in.ReadString('\n')
				seen.WriteString(line)
				if err != nil || line == ".\r\n" {
					break
				}
			}
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return seen.String()
		default:
			say("250 ok")
		}
	}
}

func TestSMTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(server.Close)
	m := people.Message{To: phi.Of("ada@example.org"), Subject: "Your account at north – new", Text: phi.Of("Hello Ada,\n.\nhttps://ward.example/t/north/activate/x\n")}
	for name, row := range map[string]struct {
		post post
		url  string
		code fault.Code
		want []string
	}{
		"STARTTLS":             {post{offers: true}, "smtp://ward:secret@%s", 0, []string{"STARTTLS", "AUTH PLAIN", "RCPT TO:<ada@example.org>", "To: ada@example.org", "=E2=80=93", "\r\n..\r\n", "/activate/x"}},
		"TLS from the start":   {post{implicit: true}, "smtps://ward:secret@%s", 0, []string{"AUTH PLAIN", "/activate/x"}},
		"in the clear, here":   {post{}, "smtp://%s", 0, []string{"/activate/x"}},
		"an unknown recipient": {post{offers: true, refuses: "550 no ada@example.org here"}, "smtp://%s", fault.CodeUnavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := row.post
			p.tls = server.TLS
			s, err := people.NewSMTP(fmt.Sprintf(row.url, p.listen(t)), "Ward <ward@example.org>", clock.NewManual(time.Date(2024, 5, 1, 8, 0, 0, 0, time.UTC)), &tls.Config{RootCAs: rootsOf(server)})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Send(t.Context(), m)
			if row.code != 0 {
				if !fault.Is(err, row.code) || strings.Contains(err.Error(), "ada@") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := <-p.got
			for _, want := range row.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		})
	}
}

func rootsOf(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func TestNewSMTP_Refuses(t *testing.T) {
	t.Parallel()
	for at, from := range map[string]string{"http://mail.example": "ward@example.org", "smtp://": "ward@example.org", "smtp://mail.example": "nobody", "::": "ward@example.org"} {
		if _, err := people.NewSMTP(at, from, clock.System(), nil); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%s from %s: %v", at, from, err)
		}
	}
	s, err := people.NewSMTP("smtp://127.0.0.1:1", "ward@example.org", clock.System(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), people.Message{To: phi.Of("a@example.org"), Subject: "x"}); !fault.Is(err, fault.CodeUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
	if err := s.Send(t.Context(), people.Message{To: phi.Of("a@example.org\r\nBcc: b@example.org"), Subject: "x"}); !fault.Is(err, fault.CodeInternal) {
		t.Errorf("a line break in the address: %v", err)
	}
}
