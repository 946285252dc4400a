package bus

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stream is a set of subjects whose messages are kept until every durable consumer has them. The zero value of a field takes the
// default beside it.
type Stream struct {
	Name     string        // letters, digits, - and _
	Subjects []string      // such as "ward.event.>"
	MaxAge   time.Duration // after which a message goes, consumed or not; 7 days
	MaxBytes int64         // on disk; a publish beyond it fails; 1 GB
	Dedupe   time.Duration // in which a message id is one message; 2 min
}

// Ensure creates the stream, or changes one that is there to this configuration.
//
// Errors: Unavailable when the server can't be reached or refuses.
func (b *Bus) Ensure(ctx context.Context, s Stream) error {
	if !b.conn.IsConnected() {
		return errDisconnected()
	}
	defaulted(&s.MaxAge, 7*24*time.Hour)
	defaulted(&s.MaxBytes, 1<<30)
	defaulted(&s.Dedupe, 2*time.Minute)
	want := jetstream.StreamConfig{
		Name: s.Name, Subjects: s.Subjects, MaxAge: s.MaxAge, MaxBytes: s.MaxBytes, Duplicates: s.Dedupe, Replicas: b.config.Replicas,
		Retention: jetstream.InterestPolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage,
	}
	there, err := b.js.Stream(ctx, s.Name)
	if err == nil && same(there.CachedInfo().Config, want) {
		return nil // an update that changes nothing would still stop the stream for a moment
	}
	if _, err = b.js.CreateOrUpdateStream(ctx, want); err != nil {
		return failed(ctx, "stream "+s.Name+" can't be made", err)
	}
	return nil
}

// same compares what Ensure sets.
func same(a, b jetstream.StreamConfig) bool {
	return slices.Equal(a.Subjects, b.Subjects) && a.MaxAge == b.MaxAge && a.MaxBytes == b.MaxBytes && a.Duplicates == b.Duplicates &&
		a.Replicas == b.Replicas && a.Retention == b.Retention && a.Discard == b.Discard && a.Storage == b.Storage
}

func defaulted[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Purge removes the messages of a stream on a subject, which may hold wildcards, had by their consumers or not. A stream that is not there has none.
//
// Errors: Unavailable when the server can't be reached.
func (b *Bus) Purge(ctx context.Context, stream, subject string) error {
	if !b.conn.IsConnected() {
		return errDisconnected()
	}
	s, err := b.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	if err != nil {
		return failed(ctx, "stream "+stream+" can't be purged", err)
	}
	return nil
}

// Pending is how many messages of a stream at least one durable consumer has not had yet.
//
// Errors: Unavailable when the server can't be reached.
func (b *Bus) Pending(ctx context.Context, stream string) (uint64, error) {
	if !b.conn.IsConnected() {
		return 0, errDisconnected()
	}
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return 0, failed(ctx, "stream "+stream+" can't be asked", err)
	}
	return s.CachedInfo().State.Msgs, nil
}
