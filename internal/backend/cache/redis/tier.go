// Package redis is the cache's second tier on a Redis server, or on a cluster of them.
//
// It connects when it is first used, in the background, so that a process starts without Redis and finds it when it comes. A call
// that cannot be answered fails at once; it is the guard's business not to try too often.
package redis

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"ward/internal/base/fault"
)

// Tier implements cache.Tier. It is safe for use by many goroutines.
type Tier struct {
	option rueidis.ClientOption

	mu         sync.Mutex
	client     rueidis.Client
	connecting chan struct{} // closed when the attempt that is under way ends
	closed     bool
}

const dialTimeout = time.Second

// New makes the tier of a URL: redis://user:password@host:port/0, rediss:// for TLS. It does not connect yet.
//
// Errors: Invalid when the URL is not one.
func New(url string) (*Tier, error) {
	if !strings.HasPrefix(url, "redis://") && !strings.HasPrefix(url, "rediss://") {
		return nil, fault.Invalid("the cache's URL must begin with redis:// or rediss://")
	}
	option, err := rueidis.ParseURL(url)
	if err != nil { // its text may show the password
		return nil, fault.Invalid("the cache's URL can't be read: write redis://user:password@host:port/0")
	}
	option.DisableCache = true // the first tier is ours
	option.DisableRetry = true // the guard retries
	option.ReadBufferEachConn = 64 << 10
	option.WriteBufferEachConn = 64 << 10
	option.RingScaleEachConn = 8
	option.Dialer = net.Dialer{Timeout: dialTimeout, KeepAlive: time.Second}
	option.ConnWriteTimeout = 2 * time.Second
	option.ClientName = "ward"
	return &Tier{option: option}, nil
}

// Get implements cache.Tier.
//
// Errors: Unavailable while Redis can't be reached.
func (t *Tier) Get(ctx context.Context, name string) ([]byte, error) {
	client, err := t.connected(ctx)
	if err != nil {
		return nil, err
	}
	value, err := client.Do(ctx, client.B().Get().Key(name).Build()).AsBytes()
	switch {
	case rueidis.IsRedisNil(err):
		return nil, nil
	case err != nil:
		return nil, failed(ctx, err)
	default:
		return value, nil
	}
}

// Set implements cache.Tier.
//
// Errors: Unavailable while Redis can't be reached.
func (t *Tier) Set(ctx context.Context, name string, sealed []byte, ttl time.Duration) error {
	client, err := t.connected(ctx)
	if err != nil {
		return err
	}
	command := client.B().Set().Key(name).Value(rueidis.BinaryString(sealed)).PxMilliseconds(max(ttl.Milliseconds(), 1)).Build()
	if err := client.Do(ctx, command).Error(); err != nil {
		return failed(ctx, err)
	}
	return nil
}

// Check says whether Redis answers.
//
// Errors: Unavailable while Redis can't be reached.
func (t *Tier) Check(ctx context.Context) error {
	t.mu.Lock()
	t.connect()
	connecting := t.connecting
	t.mu.Unlock()
	if connecting != nil {
		select {
		case <-connecting:
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the caller's own
		}
	}
	client, err := t.connected(ctx)
	if err != nil {
		return err
	}
	if err := client.Do(ctx, client.B().Ping().Build()).Error(); err != nil {
		return failed(ctx, err)
	}
	return nil
}

func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() //nolint:wrapcheck // the caller's own
	}
	return fault.Unavailable("redis does not answer").Retry(time.Second).With(err)
}

// connected gives the client, or an error at once while there is none.
func (t *Tier) connected(ctx context.Context) (rueidis.Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err //nolint:wrapcheck // the caller's own
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.client == nil {
		t.connect()
		return nil, fault.Unavailable("redis is not connected").Retry(time.Second)
	}
	return t.client, nil
}

// connect starts an attempt unless there is one or a client. It is called with the lock held.
func (t *Tier) connect() {
	if t.client != nil || t.connecting != nil || t.closed {
		return
	}
	done := make(chan struct{})
	t.connecting = done
	go func() {
		defer close(done)
		client, err := rueidis.NewClient(t.option)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.connecting = nil
		switch {
		case err != nil:
		case t.closed:
			client.Close()
		default:
			t.client = client
		}
	}()
}

// Close ends the connections.
func (t *Tier) Close() {
	t.mu.Lock()
	t.closed = true
	client, connecting := t.client, t.connecting
	t.client = nil
	t.mu.Unlock()
	if connecting != nil {
		<-connecting
	}
	if client != nil {
		client.Close()
	}
}
