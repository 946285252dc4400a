package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Target is a FHIR endpoint and who asks it.
type Target struct {
	Address string // host:port
	Base    string // path of the FHIR base without a closing slash: /t/demo/fhir
	Token   string // bearer token; empty: none
}

// ParseTarget reads the URL of a FHIR base, such as http://127.0.0.1:8080/t/demo/fhir. Only http: the load comes from
// the same machine, where TLS would measure the client.
func ParseTarget(base, token string) (Target, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return Target{}, fmt.Errorf("the server's URL is %q; it must look like http://127.0.0.1:8080/t/demo/fhir", base)
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "80")
	}
	return Target{Address: address, Base: strings.TrimSuffix(u.EscapedPath(), "/"), Token: token}, nil
}

// head appends the lines of a request that are the same for every request.
func (t Target) head(dst []byte) []byte {
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, t.Address...)
	if t.Token != "" {
		dst = append(dst, "\r\nAuthorization: Bearer "...)
		dst = append(dst, t.Token...)
	}
	return append(dst, "\r\nAccept: application/fhir+json\r\n"...)
}

// Answer is what came back. Its slices are valid until the connection's next request.
type Answer struct {
	Status   int
	Location []byte
	Body     []byte
	close    bool
}

// conn is one keep-alive connection. It is used by one goroutine.
type conn struct {
	target  Target
	timeout time.Duration
	net     net.Conn
	in      *bufio.Reader
	common  []byte // Target.head
	out     []byte
	loc     []byte
	body    []byte
	began   time.Time // when the last answer began
}

func newConn(t Target) *conn {
	return &conn{target: t, timeout: 30 * time.Second, common: t.head(nil), in: bufio.NewReaderSize(nil, 64<<10)}
}

func (c *conn) close() {
	if c.net != nil {
		_ = c.net.Close()
		c.net = nil
	}
}

// do sends one request and reads its whole answer. The path is below the FHIR base and begins with a slash or a
// question mark. An answer of any status is no error.
func (c *conn) do(ctx context.Context, method string, path, body []byte) (Answer, error) {
	c.out = append(c.out[:0], method...)
	c.out = append(c.out, ' ')
	c.out = append(c.out, c.target.Base...)
	c.out = append(c.out, path...)
	c.out = append(c.out, c.common...)
	if body != nil {
		c.out = append(c.out, "Content-Type: application/fhir+json\r\nContent-Length: "...)
		c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
		c.out = append(c.out, "\r\n"...)
	}
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, body...)
	a, err := c.exchange(ctx)
	if err != nil || a.close {
		c.close()
	}
	return a, err
}

func (c *conn) exchange(ctx context.Context) (Answer, error) {
	if c.net == nil {
		dialer := net.Dialer{Timeout: c.timeout}
		opened, err := dialer.DialContext(ctx, "tcp", c.target.Address)
		if err != nil {
			return Answer{}, err
		}
		c.net = opened
		c.in.Reset(opened)
	}
	if err := c.net.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return Answer{}, err
	}
	if _, err := c.net.Write(c.out); err != nil {
		return Answer{}, err
	}
	return c.read()
}

var errAnswer = errors.New("the answer is not HTTP/1.1")

func (c *conn) read() (Answer, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return Answer{}, err
	}
	c.began = time.Now()
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return Answer{}, errAnswer
	}
	a := Answer{Status: int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')}
	length, chunked := -1, false
	c.loc = c.loc[:0]
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return a, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimLeft(value, " ")
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return a, errAnswer
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Location")):
			c.loc = append(c.loc, value...)
		case bytes.EqualFold(name, []byte("Connection")):
			a.close = bytes.EqualFold(value, []byte("close"))
		}
	}
	a.Location = c.loc
	switch {
	case a.Status == 204 || a.Status == 304:
		return a, nil
	case chunked:
		err = c.readChunks()
	case length >= 0:
		err = c.readBody(0, length)
	default:
		return a, errAnswer
	}
	a.Body = c.body
	return a, err
}

// readBody reads n bytes into the body after its first from bytes.
func (c *conn) readBody(from, n int) error {
	if cap(c.body) < from+n {
		c.body = append(make([]byte, 0, 2*(from+n)), c.body[:from]...)
	}
	c.body = c.body[:from+n]
	_, err := io.ReadFull(c.in, c.body[from:])
	return err
}

func (c *conn) readChunks() error {
	total := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 31)
		if err != nil {
			return errAnswer
		}
		if err := c.readBody(total, int(n)); err != nil {
			return err
		}
		total += int(n)
		if _, err := c.in.Discard(2); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

// idOf takes the logical id from a Location such as .../Patient/123/_history/1.
func idOf(location []byte, typ string) string {
	_, rest, found := bytes.Cut(location, append([]byte(typ), '/'))
	if !found {
		return ""
	}
	id, _, _ := bytes.Cut(rest, []byte("/"))
	return string(id)
}
