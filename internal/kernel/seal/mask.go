package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// Mask turns what an index is searched by into keyed values of the same size: equal ones stay equal, and without the tenant's key nobody can say what they
// were, nor test a guess. It is AES-256 of one block, cut off: a pseudorandom function. It is safe for use by many goroutines.
type Mask struct {
	block cipher.Block // nil: sealing is off, and nothing is masked
}

func (k *Key) newMask() (*Mask, error) {
	raw, err := k.Derive("ward index")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	return &Mask{block: block}, err
}

// Mask is the tenant's. It masks nothing when sealing is off.
func (k *Key) Mask() *Mask { return k.mask }

// On says whether anything is masked.
func (m *Mask) On() bool { return m != nil && m.block != nil }

// Uint64 masks eight bytes for one use, so that equal values of different uses are not equal.
func (m *Mask) Uint64(use uint32, v uint64) uint64 {
	if !m.On() {
		return v
	}
	var in, out [aes.BlockSize]byte
	binary.BigEndian.PutUint32(in[:], use)
	binary.BigEndian.PutUint64(in[8:], v)
	m.block.Encrypt(out[:], in[:])
	return binary.BigEndian.Uint64(out[:])
}

// Uint32 masks four bytes that stand behind eight others, for one use.
func (m *Mask) Uint32(use uint32, before uint64, v uint32) uint32 {
	if !m.On() {
		return v
	}
	var in, out [aes.BlockSize]byte
	binary.BigEndian.PutUint32(in[:], use)
	binary.BigEndian.PutUint32(in[4:], v)
	binary.BigEndian.PutUint64(in[8:], before)
	m.block.Encrypt(out[:], in[:])
	return binary.BigEndian.Uint32(out[:])
}
