package cache

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// id is a process's cache, anew at each start.
type id [8]byte

func newID() (i id) {
	_, _ = rand.Read(i[:]) // crypto/rand never fails since Go 1.24
	return i
}

func (i id) subject() string { return subjectOne + hex.EncodeToString(i[:]) }

const (
	messageVersion = 1
	messageHead    = 2 + 8 + 8 + 8
	announcedSize  = 4 + 8

	kindPing     = 'p' // number: when it left, by the sender's clock
	kindPong     = 'P' // number: the ping's; sequence: the last announcement
	kindAnnounce = 'a' // sequence, tags
	kindConfirm  = 'c' // sequence
	kindGoodbye  = 'g'
)

// message is 1 byte version, 1 kind, 8 sender, 8 number, 8 sequence, then 12 for each tag. Numbers are big-endian.
type message struct {
	kind     byte
	from     id
	number   uint64
	sequence uint64
	body     []byte // tags, encoded
	tags     []announced
}

// announced is a tag of a tenant that was invalidated.
type announced struct {
	tenant int32
	tag    Tag
}

func (a announced) encode(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.tenant)) //nolint:gosec // same bits
	return binary.BigEndian.AppendUint64(dst, uint64(a.tag))
}

func (m message) encode() []byte {
	b := make([]byte, 0, messageHead+len(m.body))
	b = append(b, messageVersion, m.kind)
	b = append(b, m.from[:]...)
	b = binary.BigEndian.AppendUint64(b, m.number)
	b = binary.BigEndian.AppendUint64(b, m.sequence)
	return append(b, m.body...)
}

func decode(b []byte) (m message, ok bool) {
	if len(b) < messageHead || b[0] != messageVersion || (len(b)-messageHead)%announcedSize != 0 {
		return m, false
	}
	m.kind = b[1]
	m.from = id(b[2:10])
	m.number = binary.BigEndian.Uint64(b[10:])
	m.sequence = binary.BigEndian.Uint64(b[18:])
	if m.kind == kindAnnounce {
		m.tags = make([]announced, 0, (len(b)-messageHead)/announcedSize)
		for rest := b[messageHead:]; len(rest) > 0; rest = rest[announcedSize:] {
			m.tags = append(m.tags, announced{
				tenant: int32(binary.BigEndian.Uint32(rest)), //nolint:gosec // same bits
				tag:    Tag(binary.BigEndian.Uint64(rest[4:])),
			})
		}
	}
	return m, true
}
