package seal

import (
	"context"
	"crypto/cipher"
)

// Streams gives the ciphers of streams, for backend/blob/sealed.
type Streams struct{ keys *Keys }

// NewStreams is over the keys of all tenants.
func NewStreams(keys *Keys) Streams { return Streams{keys} }

// Stream is [Key.Stream] of the scope's tenant. Streams are sealed also when sealing is off.
func (s Streams) Stream(ctx context.Context, number uint32, salt []byte) (cipher.AEAD, uint32, error) {
	key, err := s.keys.For(ctx)
	if err != nil {
		return nil, 0, err
	}
	return key.Stream(number, salt)
}
