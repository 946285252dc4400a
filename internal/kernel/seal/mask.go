package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// Mask turns what an index is searched by into keyed values of the same size: equal ones stay equal, and without the tenant's key nobody can say what they
// were, nor test a guess. It is AES-256 of one block, cut off: a pseudorandom function. It is safe for use by many goroutines.
type Mask struct {
	block cipher.Block
}

func (k *Key) newMask() (*Mask, error) {
	raw, err := k.Derive("ward index")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	return &Mask{block: block}, err
}

// Mask is the tenant's, also when sealing is off: an index must be searched as it was written.
func (k *Key) Mask() *Mask { return k.mask }

// Uint64 masks eight bytes for one use, so that equal values of different uses are not equal.
func (m *Mask) Uint64(use uint32, v uint64) uint64 {
	var in, out [aes.BlockSize]byte
	binary.BigEndian.PutUint32(in[:], use)
	binary.BigEndian.PutUint64(in[8:], v)
	m.block.Encrypt(out[:], in[:])
	return binary.BigEndian.Uint64(out[:])
}

// Uint32 masks four bytes for one use.
func (m *Mask) Uint32(use, v uint32) uint32 {
	var in, out [aes.BlockSize]byte
	binary.BigEndian.PutUint32(in[:], use)
	binary.BigEndian.PutUint32(in[4:], 1) // where Uint64 has 0
	binary.BigEndian.PutUint32(in[8:], v)
	m.block.Encrypt(out[:], in[:])
	return binary.BigEndian.Uint32(out[:])
}
