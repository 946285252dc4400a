package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"ward/internal/base/fault"
)

// What a sealed value begins with. Neither byte begins anything that a caller stores unsealed.
const (
	Clear  byte = 0xE0 // what follows is plain: sealing was off; it opens only where that is allowed, else who can write to the database could put anything in
	Sealed byte = 0xE1 // 4 bytes number of the data key, 12 nonce, ciphertext, 16 tag
)

const (
	headSize  = 1 + 4
	nonceSize = 12
	tagSize   = 16

	// Overhead is how many bytes a sealed value has more than the plain one, at most.
	Overhead = headSize + nonceSize + tagSize
)

// Key is a tenant's data keys, unwrapped. It is safe for use by many goroutines. Ask [Keys.For] for it each time and don't keep it.
type Key struct {
	tenant int32
	off    bool
	clear  bool // what was kept in the clear while sealing was off opens
	newest uint32
	byID   map[uint32]*dataKey
	root   []byte // of what is derived: it never changes for a tenant
	used   *atomic.Int64
	mask   *Mask
}

type dataKey struct {
	raw  []byte
	aead cipher.AEAD
}

// newKey takes the primitives out of a keyset, so that nothing stands between a call and AES.
func newKey(tenant int32, h *keyset.Handle) (*Key, error) {
	k := &Key{tenant: tenant, byID: make(map[uint32]*dataKey, h.Len()), used: new(atomic.Int64)}
	for i := range h.Len() {
		e, err := h.Entry(i)
		if err != nil {
			return nil, fault.Internal("read a keyset").With(err)
		}
		gcm, ok := e.Key().(*aesgcm.Key)
		if !ok {
			return nil, fault.Internal("a keyset holds a key of another kind")
		}
		raw := gcm.KeyBytes().Data(insecuresecretdataaccess.Token{})
		aead, err := newAEAD(raw)
		if err != nil {
			return nil, err
		}
		k.byID[e.KeyID()] = &dataKey{raw, aead}
		if e.IsPrimary() {
			k.newest = e.KeyID()
		}
		if i == 0 {
			if k.root, err = hkdf.Key(sha256.New, raw, nil, "ward root", sha256.Size); err != nil {
				return nil, fault.Internal("derive a key").With(err)
			}
		}
	}
	if k.byID[k.newest] == nil {
		return nil, fault.Internal("a keyset without a primary key")
	}
	var err error
	k.mask, err = k.newMask()
	return k, err
}

func newAEAD(raw []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fault.Internal("make a cipher").With(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fault.Internal("make a cipher").With(err)
	}
	return aead, nil
}

// Bound is the number of the tenant that sealed values are bound to: its own, or the one that it had where the archive was made that it comes from.
func (k *Key) Bound() int32 { return k.tenant }

// Off says that sealing is off: values are stored in the clear.
func (k *Key) Off() bool { return k.off }

// Strict is the same key for secrets: they are sealed while sealing is off, too, and what is in the clear does not open.
func (k *Key) Strict() *Key {
	strict := *k
	strict.off, strict.clear = false, false
	return &strict
}

// Seal appends plain, sealed, to dst. associated says what it is: the table and the id that it is stored under. plain and dst must not overlap.
func (k *Key) Seal(dst, plain, associated []byte) []byte {
	if k.off {
		return append(append(dst, Clear), plain...)
	}
	k.used.Add(1)
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // crypto/rand never fails since Go 1.24
	dst = append(dst, Sealed)
	dst = binary.BigEndian.AppendUint32(dst, k.newest)
	dst = append(dst, nonce[:]...)
	var buf [64]byte
	return k.byID[k.newest].aead.Seal(dst, dst[len(dst)-nonceSize:], plain, k.bind(buf[:0], associated))
}

// bind puts the tenant before the associated data.
func (k *Key) bind(dst, associated []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(k.tenant)), associated...) //nolint:gosec // the bits on purpose
}

// Open appends to dst what Seal made a value of with the same associated data.
//
// Errors: Unprocessable for anything else.
func (k *Key) Open(dst, sealed, associated []byte) ([]byte, error) {
	switch {
	case len(sealed) > 0 && sealed[0] == Clear && k.clear:
		return append(dst, sealed[1:]...), nil
	case len(sealed) < Overhead || sealed[0] != Sealed:
		return nil, fault.Unprocessable("not a sealed value")
	}
	d := k.byID[binary.BigEndian.Uint32(sealed[1:])]
	if d == nil {
		return nil, fault.Unprocessable("sealed under a key that the tenant does not have")
	}
	var buf [64]byte
	plain, err := d.aead.Open(dst, sealed[headSize:headSize+nonceSize], sealed[headSize+nonceSize:], k.bind(buf[:0], associated))
	if err != nil {
		return nil, fault.Unprocessable("a sealed value does not open: it was changed, or is not what it is taken for")
	}
	return plain, nil
}

// Derive is a secret of 32 bytes for one purpose, the same for as long as the tenant has its keys.
func (k *Key) Derive(purpose string) ([]byte, error) {
	d, err := hkdf.Expand(sha256.New, k.root, purpose, sha256.Size)
	if err != nil {
		return nil, fault.Internal("derive a key").With(err)
	}
	return d, nil
}

// Stream is a cipher for one stream of many segments, under a key derived from the data key of that number, 0 for the newest, and the stream's salt. number
// is the data key's, to be kept with the stream.
//
// Errors: Unprocessable when the tenant has no such key.
func (k *Key) Stream(number uint32, salt []byte) (aead cipher.AEAD, used uint32, err error) {
	if number == 0 {
		number = k.newest
	}
	d := k.byID[number]
	if d == nil {
		return nil, 0, fault.Unprocessable("sealed under a key that the tenant does not have")
	}
	raw, err := hkdf.Key(sha256.New, d.raw, salt, "ward stream", len(d.raw))
	if err != nil {
		return nil, 0, fault.Internal("derive a key").With(err)
	}
	aead, err = newAEAD(raw)
	return aead, number, err
}
