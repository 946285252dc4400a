package app

import (
	"context"
	"encoding/binary"
	"log/slog"

	"ward/internal/base/scope"
	"ward/internal/kernel/journal"
)

// subjectDestroyed tells all processes the number of a tenant whose keys were destroyed.
const subjectDestroyed = "ward.tenant.destroyed"

// shred is what goes of a tenant that is destroyed beside its database and blobs, after its keys are.
func (a *App) shred() []func(context.Context, scope.Tenant) error {
	b := a.Backends
	return []func(context.Context, scope.Tenant) error{
		func(ctx context.Context, t scope.Tenant) error {
			a.forgotten(t.ID)
			// Who is not reached forgets the keys after five minutes at the latest.
			if err := b.Bus.Broadcast(ctx, subjectDestroyed, binary.BigEndian.AppendUint32(nil, uint32(t.ID))); err != nil { //nolint:gosec // positive
				a.log.WarnContext(ctx, "other processes were not told that a tenant was destroyed", slog.Int("number", int(t.ID)), slog.Any("error", err))
			}
			return nil
		},
		func(ctx context.Context, t scope.Tenant) error { return a.Tokens.Forget(ctx, t.ID) },
		func(ctx context.Context, t scope.Tenant) error { return journal.Forget(ctx, b.DB, t) },
		func(ctx context.Context, t scope.Tenant) error {
			// The rows must go also when the bus is away: what stays in the stream opens no more.
			if err := a.Outbox.Forget(ctx, t); err != nil {
				a.log.WarnContext(ctx, "the messages of a destroyed tenant stay in the bus, sealed, until it lets them go", slog.Int("number", int(t.ID)), slog.Any("error", err))
			}
			return nil
		},
	}
}

// forgotten lets go of what this process has in memory of a destroyed tenant: its keys, and all cached values, of which it has not noted whose they are.
func (a *App) forgotten(tenant int32) {
	a.Backends.Seal.Forget(tenant)
	a.Backends.Cache.Clear()
}

// hearOfDestroyed listens for what other processes destroyed, until stop is called.
func (a *App) hearOfDestroyed() (stop func(), err error) {
	return a.Backends.Bus.Listen([]string{subjectDestroyed}, func(_ string, data []byte) {
		if len(data) == 4 {
			a.forgotten(int32(binary.BigEndian.Uint32(data))) //nolint:gosec // the number's bits
		}
	})
}
