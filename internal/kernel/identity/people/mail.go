package people

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/phi"
)

// Message is a mail.
type Message struct {
	To      phi.Text
	Subject string // says nothing about the person
	Text    phi.Text
}

// Mailer sends mails.
type Mailer interface {
	// Send returns after the mail was handed over. It returns fault.Unavailable when it may work later.
	Send(ctx context.Context, m Message) error
}

func (m Message) encode(from string, now time.Time) ([]byte, error) {
	to := m.To.Reveal()
	if strings.ContainsAny(to+from+m.Subject, "\r\n") {
		return nil, fault.Internal("a mail's header has a line break")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", from, to, mime.QEncoding.Encode("utf-8", m.Subject),
		now.Format(time.RFC1123Z), rand.Text(), domainOf(from))
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nAuto-Submitted: auto-generated\r\n\r\n")
	b.WriteString(strings.ReplaceAll(m.Text.Reveal(), "\n", "\r\n"))
	return []byte(b.String()), nil
}

func domainOf(address string) string {
	if a, err := mail.ParseAddress(address); err == nil {
		address = a.Address
	}
	_, domain, _ := strings.Cut(address, "@")
	return domain
}

// Folder keeps mails as files instead of sending them, for development. The files' names are random and the owner alone reads them.
type Folder struct {
	Dir   string
	From  string
	Clock clock.Clock
}

// Send writes the mail.
func (f Folder) Send(_ context.Context, m Message) error {
	now := f.Clock.Now()
	text, err := m.encode(f.From, now)
	if err == nil {
		err = os.MkdirAll(f.Dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(f.Dir, now.UTC().Format("20060102T150405.000")+"-"+rand.Text()[:8]+".eml"), text, 0o600)
	}
	if err != nil {
		return fault.Unavailable("the mail can't be kept").With(errors.Unwrap(err)) // without the path
	}
	return nil
}

// SMTP hands mails to a server, encrypted: by TLS from the start (smtps) or by STARTTLS (smtp), which the server must offer unless it is on this machine.
type SMTP struct {
	address, host, from string
	implicit            bool
	auth                smtp.Auth
	clock               clock.Clock
	tls                 *tls.Config
}

const mailTime = 30 * time.Second

// NewSMTP is a server at smtp://USER:PASSWORD@HOST:PORT or smtps://... It returns fault.Invalid for another URL.
func NewSMTP(at, from string, c clock.Clock, config *tls.Config) (*SMTP, error) {
	u, err := url.Parse(at)
	if err != nil || (u.Scheme != "smtp" && u.Scheme != "smtps") || u.Hostname() == "" {
		return nil, fault.Invalid("the mail server is smtp://USER:PASSWORD@HOST:PORT or smtps://...")
	}
	if _, err := mail.ParseAddress(from); err != nil {
		return nil, fault.Invalid("mails need a sender's address")
	}
	s := &SMTP{host: u.Hostname(), from: from, implicit: u.Scheme == "smtps", clock: c, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	if config != nil {
		s.tls = config.Clone()
	}
	s.tls.ServerName = s.host
	port := u.Port()
	if port == "" {
		port = map[bool]string{false: "587", true: "465"}[s.implicit]
	}
	s.address = net.JoinHostPort(s.host, port)
	if password, has := u.User.Password(); has {
		s.auth = smtp.PlainAuth("", u.User.Username(), password, s.host)
	}
	return s, nil
}

// Send hands the mail over.
func (s *SMTP) Send(ctx context.Context, m Message) (err error) {
	defer func() {
		if _, coded := fault.Of(err); err != nil && !coded {
			err = fault.Unavailable("the mail server did not take the mail").With(withoutAddress(err)).Retry(time.Minute)
		}
	}()
	text, err := m.encode(s.from, s.clock.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	var conn net.Conn
	if s.implicit {
		conn, err = (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	c, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return err
	}
	if !s.implicit {
		if offered, _ := c.Extension("STARTTLS"); offered {
			if err := c.StartTLS(s.tls); err != nil {
				return err
			}
		} else if ip := net.ParseIP(s.host); s.host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fault.Unavailable("the mail server does not offer STARTTLS: mails are not sent in the clear")
		}
	}
	if s.auth != nil {
		if err := c.Auth(s.auth); err != nil {
			return err
		}
	}
	sender, err := mail.ParseAddress(s.from)
	if err != nil {
		return err
	}
	if err := c.Mail(sender.Address); err != nil {
		return err
	}
	if err := c.Rcpt(m.To.Reveal()); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// withoutAddress keeps what a server says, which may repeat an address, out of the logs.
func withoutAddress(err error) error {
	if strings.Contains(err.Error(), "@") {
		return errors.New("it named an address")
	}
	return err
}
