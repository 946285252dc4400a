package bus

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ward/internal/base/fault"
)

// Config says how to reach the server. The zero value of a field takes the default beside it.
type Config struct {
	URL      string // nats://user:password@host:port, several separated by commas; tls:// for TLS
	Name     string // of this process, shown by the server; "ward"
	Replicas int    // of every stream, on a cluster; 1
	// Server connects to a server in this process instead of URL.
	Server nats.InProcessConnProvider
}

// Deps are what a bus works with.
type Deps struct {
	Logger *slog.Logger
}

// Bus is a connection to a NATS server. It is safe for use by many goroutines.
type Bus struct {
	config Config
	logger *slog.Logger
	conn   *nats.Conn
	js     jetstream.JetStream
	onEnd  func() // ends the embedded server

	mu    sync.Mutex
	lost  []func()
	found []func()
}

const (
	reconnectWait = 250 * time.Millisecond
	pingInterval  = 2 * time.Second // two without an answer are a lost connection
	maxPending    = 4096            // publishes that wait for the server
)

// Connect connects to the server, now or as soon as it can be reached.
//
// Errors: Invalid when the URL is not one.
func Connect(config Config, deps Deps) (*Bus, error) {
	if config.Server == nil {
		if err := checkURL(config.URL); err != nil {
			return nil, err
		}
	}
	if config.Name == "" {
		config.Name = "ward"
	}
	config.Replicas = max(config.Replicas, 1)
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Bus{config: config, logger: deps.Logger}
	options := []nats.Option{
		nats.Name(config.Name), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/2, reconnectWait/2), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		nats.ReconnectBufSize(-1), nats.Timeout(time.Second), nats.DrainTimeout(5 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.disconnected(err) }),
		nats.ConnectHandler(func(*nats.Conn) { b.reconnected() }),
		nats.ReconnectHandler(func(*nats.Conn) { b.reconnected() }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) { b.troubled(s, err) }),
	}
	if config.Server != nil {
		options = append(options, nats.InProcessServer(config.Server))
	}
	var err error
	if b.conn, err = nats.Connect(config.URL, options...); err != nil {
		return nil, fault.Unavailable("the bus can't be reached").With(hidden(config.URL, err))
	}
	if b.js, err = jetstream.New(b.conn, jetstream.WithPublishAsyncMaxPending(maxPending), jetstream.WithDefaultTimeout(5*time.Second)); err != nil {
		b.conn.Close()
		return nil, fault.Internal("make a JetStream client").With(err)
	}
	return b, nil
}

// ConnectEmbedded is Connect for a server in this process, which end stops when the bus is closed.
func ConnectEmbedded(config Config, deps Deps, end func()) (*Bus, error) {
	b, err := Connect(config, deps)
	if err != nil {
		return nil, err
	}
	b.onEnd = end
	return b, nil
}

func checkURL(urls string) error {
	for u := range strings.SplitSeq(urls, ",") {
		parsed, err := url.Parse(strings.TrimSpace(u))
		if err != nil || parsed.Host == "" || parsed.Scheme != "nats" && parsed.Scheme != "tls" {
			return fault.Invalid("the bus's URL can't be read: write nats://user:password@host:port, several separated by commas")
		}
	}
	return nil
}

// hidden keeps the password of a URL out of an error.
func hidden(urls string, err error) error {
	if strings.Contains(urls, "@") {
		return errors.New("connection failed")
	}
	return err
}

func (b *Bus) disconnected(err error) {
	if b.conn.IsClosed() {
		return
	}
	b.logger.Warn("bus: disconnected", "error", err)
	for _, call := range b.callers(&b.lost) {
		call()
	}
}

func (b *Bus) reconnected() {
	b.logger.Info("bus: connected")
	for _, call := range b.callers(&b.found) {
		call()
	}
}

func (b *Bus) callers(of *[]func()) []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]func(){}, *of...)
}

func (b *Bus) troubled(s *nats.Subscription, err error) {
	subject := ""
	if s != nil {
		subject = s.Subject
	}
	b.logger.Warn("bus: trouble", "subject", subject, "error", err)
}

// OnDisconnect has call called whenever the server is lost. It must not block.
func (b *Bus) OnDisconnect(call func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost = append(b.lost, call)
}

// OnReconnect has call called whenever the server is found, the first time included unless it was found before. It must not block.
func (b *Bus) OnReconnect(call func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.found = append(b.found, call)
}

// Connected says whether there is a connection now.
func (b *Bus) Connected() bool { return b.conn.IsConnected() }

// Check asks the server whether it is there and has JetStream.
//
// Errors: Unavailable when it can't be reached or has none.
func (b *Bus) Check(ctx context.Context) error {
	if !b.conn.IsConnected() {
		return errDisconnected()
	}
	if _, err := b.js.AccountInfo(ctx); err != nil {
		return failed(ctx, "the bus has no JetStream", err)
	}
	return nil
}

func errDisconnected() error {
	return fault.Unavailable("the bus is not connected").Retry(time.Second)
}

func failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() //nolint:wrapcheck // the caller's own
	}
	return fault.Unavailable("%s", what).Retry(time.Second).With(err)
}

// Close sends what is on its way, ends the connection and, when embedded, the server. Consumers must have ended.
func (b *Bus) Close(ctx context.Context) error {
	if b.conn.IsConnected() {
		select {
		case <-b.js.PublishAsyncComplete():
		case <-ctx.Done():
		}
		_ = b.conn.FlushWithContext(ctx)
	}
	b.conn.Close()
	if b.onEnd != nil {
		b.onEnd()
	}
	return nil
}
