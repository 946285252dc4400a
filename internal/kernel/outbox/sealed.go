package outbox

import (
	"context"

	"ward/internal/base/fault"
	"ward/internal/kernel/seal"
)

// Keys gives the key of the scope's tenant; kernel/seal's Keys is one.
type Keys interface {
	For(ctx context.Context) (*seal.Key, error)
}

// label is what an event's data are bound to, in its table and on its way.
func label(id eventID) []byte { return append([]byte("outbox/"), id[:]...) }

// unseal gives an event's data back.
func (o *Outbox) unseal(ctx context.Context, id eventID, sealed []byte) ([]byte, error) {
	key, err := o.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	data, err := key.Open([]byte{}, sealed, label(id))
	if err != nil {
		return nil, fault.Internal("an event does not open").With(err)
	}
	return data, nil
}
