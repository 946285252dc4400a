package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ward/internal/base/fault"
)

// Consumer is a durable reader of a stream. All processes that consume under one name share the messages. The zero value of a field
// takes the default beside it.
type Consumer struct {
	Stream      string
	Name        string // durable: letters, digits, - and _. Another name starts anew, with what is published from then on
	Subject     string
	Concurrency int             // messages at once in this process; 4
	AckWait     time.Duration   // after which another process takes over from one that died; 30 s
	Backoff     []time.Duration // before the second, third, ... attempt; its length + 1 is the number of attempts. 1 s, 5 s, 30 s, 2 min, 10 min
	Forget      time.Duration   // after which the server forgets a consumer that nobody runs; 7 days

	// Handle does the work. It may see a message again. When it fails it is called again after Backoff.
	Handle func(ctx context.Context, m Message) error
	// Dead takes a message whose last attempt failed. Until it returns nil the message stays.
	Dead func(ctx context.Context, m Message, cause error) error
}

// ErrAbandoned is the cause that Dead gets for a message in whose handling processes died as often as it may be tried.
var ErrAbandoned = errors.New("every attempt ended with its process")

func (c *Consumer) defaults() {
	defaulted(&c.Concurrency, 4)
	defaulted(&c.AckWait, 30*time.Second)
	defaulted(&c.Forget, 7*24*time.Hour)
	if c.Backoff == nil {
		c.Backoff = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	}
}

// Prepare creates the durable consumer, so that messages published from now on are kept for it, also before it runs.
//
// Errors: Unavailable when the server can't be reached or has no such stream.
func (b *Bus) Prepare(ctx context.Context, c Consumer) error {
	_, err := b.prepare(ctx, c)
	return err
}

func (b *Bus) prepare(ctx context.Context, c Consumer) (jetstream.Consumer, error) {
	c.defaults()
	if !b.conn.IsConnected() {
		return nil, errDisconnected()
	}
	consumer, err := b.js.CreateOrUpdateConsumer(ctx, c.Stream, jetstream.ConsumerConfig{
		Durable: c.Name, FilterSubject: c.Subject, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait, MaxDeliver: -1,
		MaxAckPending: 1024, InactiveThreshold: c.Forget, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		return nil, failed(ctx, "consumer "+c.Name+" can't be made", err)
	}
	return consumer, nil
}

// Consume handles messages until ctx ends, and then returns nil when those in work are done; what was fetched and not begun goes
// back to the server. It waits for a server that can't be reached.
func (b *Bus) Consume(ctx context.Context, c Consumer) error {
	c.defaults()
	if c.Handle == nil || c.Dead == nil || c.Name == "" || c.Stream == "" || c.Subject == "" {
		return fault.Internal("consumer %q needs a stream, a name, a subject, Handle and Dead", c.Name)
	}
	pause := reconnectWait
	for ctx.Err() == nil {
		some, err := b.consume(ctx, c)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		if some {
			pause = reconnectWait
		}
		b.logger.Warn("bus: a consumer stopped and will go on", "consumer", c.Name, "pause", pause, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
	return nil
}

// consume handles messages until something fails, and says whether there were some.
func (b *Bus) consume(ctx context.Context, c Consumer) (some bool, err error) {
	consumer, err := b.prepare(ctx, c)
	if err != nil {
		return false, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(c.Concurrency), jetstream.PullExpiry(10*time.Second), jetstream.PullHeartbeat(2*time.Second))
	if err != nil {
		return false, failed(ctx, "consumer "+c.Name+" can't read", err)
	}
	stop := context.AfterFunc(ctx, messages.Drain)
	defer stop()
	defer messages.Stop()
	var working sync.WaitGroup
	defer working.Wait()
	places := make(chan struct{}, c.Concurrency)
	for {
		m, err := messages.Next()
		if err != nil {
			return some, err //nolint:wrapcheck // only logged
		}
		some = true
		if ctx.Err() != nil {
			_ = m.Nak()
			continue
		}
		places <- struct{}{}
		working.Go(func() {
			defer func() { <-places }()
			b.deliver(ctx, c, m)
		})
	}
}

// deliver handles one message. Work that has begun is finished when ctx ends: draining waits for it.
func (b *Bus) deliver(ctx context.Context, c Consumer, raw jetstream.Msg) {
	ctx = context.WithoutCancel(ctx)
	meta, err := raw.Metadata()
	if err != nil {
		b.logger.Error("bus: a message without metadata", "consumer", c.Name, "error", err)
		return
	}
	m := Message{Subject: raw.Subject(), Data: raw.Data(), Attempt: int(meta.NumDelivered)} //nolint:gosec // small
	for k, v := range raw.Headers() {
		if k == jetstream.MsgIDHeader {
			m.ID = v[0]
			continue
		}
		if m.Header == nil {
			m.Header = make(map[string]string, len(raw.Headers()))
		}
		m.Header[k] = v[0]
	}
	keep := b.keepAlive(c, raw)
	attempts := len(c.Backoff) + 1
	if m.Attempt > attempts {
		err = ErrAbandoned
	} else {
		err = guarded(ctx, m, c.Handle)
	}
	if err != nil && m.Attempt >= attempts {
		if deadErr := c.Dead(ctx, m, err); deadErr != nil {
			b.logger.Error("bus: a dead message can't be put away", "consumer", c.Name, "error", deadErr)
			err = deadErr
		} else {
			err = nil
		}
	}
	keep()
	if err == nil {
		err = raw.Ack()
	} else {
		err = raw.NakWithDelay(c.delay(m.Attempt))
	}
	if err != nil && b.conn.IsConnected() {
		b.logger.Warn("bus: a message can't be answered and comes again", "consumer", c.Name, "error", err)
	}
}

// delay is the pause after an attempt.
func (c *Consumer) delay(attempt int) time.Duration {
	if len(c.Backoff) == 0 {
		return time.Minute
	}
	return c.Backoff[min(max(attempt, 1), len(c.Backoff))-1]
}

// keepAlive tells the server that the work goes on, so that nobody else begins it. The function it returns ends that.
func (b *Bus) keepAlive(c Consumer, raw jetstream.Msg) (end func()) {
	every := c.AckWait / 3
	var mu sync.Mutex
	ended := false
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(every, func() {
		mu.Lock()
		defer mu.Unlock()
		if !ended {
			_ = raw.InProgress()
			timer.Reset(every)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
		timer.Stop()
	}
}

// guarded turns a panic of the handler into an error.
func guarded(ctx context.Context, m Message, handle func(context.Context, Message) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internal("panic").With(fmt.Errorf("%v\n%s", p, debug.Stack()))
		}
	}()
	return handle(ctx, m)
}
