package bus

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ward/internal/base/fault"
)

// Message is what a stream keeps.
type Message struct {
	ID      string // one message however often it is published within the stream's Dedupe window; empty for no such check
	Subject string
	Header  map[string]string // nil for none
	Data    []byte            // 1 MB at most, as the server is set
	Attempt int               // of delivery, from 1; 0 when published
}

func (m Message) encode() *nats.Msg {
	out := &nats.Msg{Subject: m.Subject, Data: m.Data}
	if len(m.Header) > 0 || m.ID != "" {
		out.Header = make(nats.Header, len(m.Header)+1)
		for k, v := range m.Header {
			out.Header[k] = []string{v}
		}
		if m.ID != "" {
			out.Header[jetstream.MsgIDHeader] = []string{m.ID}
		}
	}
	return out
}

// Publish returns when a stream has the message on disk.
//
// Errors: Unavailable when the server can't be reached, no stream takes the subject, or it is full. The message may have been kept nevertheless:
// publish again under the same id.
func (b *Bus) Publish(ctx context.Context, m Message) error {
	return b.PublishAll(ctx, []Message{m})[0]
}

// PublishAll publishes many messages in few round trips and returns when the stream has answered for each: errs[i] is nil when it
// has message i on disk.
//
// Errors: as Publish.
func (b *Bus) PublishAll(ctx context.Context, messages []Message) (errs []error) {
	errs = make([]error, len(messages))
	if !b.conn.IsConnected() {
		for i := range errs {
			errs[i] = errDisconnected()
		}
		return errs
	}
	for begin := 0; begin < len(messages); begin += maxPending / 4 {
		end := min(begin+maxPending/4, len(messages))
		b.publishSome(ctx, messages[begin:end], errs[begin:end])
	}
	return errs
}

func (b *Bus) publishSome(ctx context.Context, messages []Message, errs []error) {
	waiting := make([]jetstream.PubAckFuture, len(messages))
	for i, m := range messages {
		if waiting[i], errs[i] = b.js.PublishMsgAsync(m.encode(), jetstream.WithRetryAttempts(0)); errs[i] != nil {
			errs[i] = failed(ctx, "the bus took no message", errs[i])
		}
	}
	for i, w := range waiting {
		if w == nil {
			continue
		}
		select {
		case <-w.Ok():
		case err := <-w.Err():
			errs[i] = failed(ctx, "the bus did not keep a message", err)
		case <-ctx.Done():
			errs[i] = ctx.Err()
		}
	}
}

// Broadcast sends to whoever listens now. It returns when the message is on its way.
//
// Errors: Unavailable when the server can't be reached, TooLarge beyond what the server takes.
func (b *Bus) Broadcast(_ context.Context, subject string, data []byte) error {
	if limit := b.conn.MaxPayload(); limit > 0 && int64(len(data)) > limit {
		return fault.TooLarge("a broadcast of %d bytes: the server takes %d", len(data), limit)
	}
	if !b.conn.IsConnected() {
		return errDisconnected()
	}
	if err := b.conn.Publish(subject, data); err != nil {
		return fault.Unavailable("the bus took no broadcast").With(err)
	}
	return nil
}

const listenBuffer = 8192 // broadcasts that wait for a slow listener; more are lost

// Listen calls handle for every broadcast on one of the subjects, one at a time, in the order in which they arrived. stop returns when handle
// will not be called again; handle must not call it.
//
// Errors: Internal when a subject is not one.
func (b *Bus) Listen(subjects []string, handle func(subject string, data []byte)) (stop func(), err error) {
	arriving := make(chan *nats.Msg, listenBuffer)
	var subscriptions []*nats.Subscription
	end := func() {
		for _, s := range subscriptions {
			_ = s.Unsubscribe()
		}
	}
	for _, subject := range subjects {
		s, err := b.conn.ChanSubscribe(subject, arriving)
		if err != nil {
			end()
			return nil, fault.Internal("listen to %s", subject).With(err)
		}
		subscriptions = append(subscriptions, s)
	}
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case m := <-arriving:
				handle(m.Subject, m.Data)
			case <-stopping:
				return
			}
		}
	}()
	return func() {
		end()
		close(stopping)
		<-stopped
	}, nil
}
