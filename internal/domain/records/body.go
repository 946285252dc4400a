package records

import (
	"bytes"
	"context"
	"embed"
	"encoding/binary"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"ward/internal/base/fault"
	"ward/internal/kernel/seal"
)

// A stored body begins with a byte that says how the rest is packed, or with seal.Sealed when that is sealed. Dictionaries are part of the format: a number,
// once released, keeps its bytes for ever; a better dictionary gets a new number.
const (
	packedPlain  byte = 0
	packedS2     byte = 1
	packedS2Dict byte = 2 // a byte with the dictionary's number follows
)

//go:embed dict/*.zst
var dictFiles embed.FS

// packer packs and unpacks bodies, with a dictionary per resource type where there is one.
type packer struct {
	byType   map[string]*dictionary
	byNumber map[byte]*dictionary
	scratch  sync.Pool // of *[]byte
}

type dictionary struct {
	number byte
	load   func() *s2.Dict
}

// newPacker lists the dictionaries; each is read when it is first needed.
func newPacker() (*packer, error) {
	p := &packer{byType: map[string]*dictionary{}, byNumber: map[byte]*dictionary{}}
	names, err := fs.Glob(dictFiles, "dict/*.zst")
	if err != nil {
		return nil, fault.Internal("list dictionaries").With(err)
	}
	for _, name := range names {
		number, typ, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(name, "dict/"), ".zst"), "-")
		n, err := strconv.ParseUint(number, 10, 8)
		if !ok || err != nil {
			return nil, fault.Internal("dictionary %s: want NNN-Type.zst", name)
		}
		d := &dictionary{number: byte(n), load: sync.OnceValue(func() *s2.Dict { return readDictionary(name) })}
		p.byNumber[d.number] = d
		p.byType[typ] = d // names are in order: the highest number is the one to write with
	}
	return p, nil
}

// readDictionary returns nil when the embedded file is damaged, which the test of all dictionaries rules out.
func readDictionary(name string) *s2.Dict {
	packed, err := dictFiles.ReadFile(name)
	if err != nil {
		return nil
	}
	r, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := r.WriteTo(&b); err != nil {
		return nil
	}
	return s2.MakeDict(b.Bytes(), nil)
}

// pack appends to dst json as it is stored, sealing aside.
func (p *packer) pack(dst []byte, typ string, json []byte) []byte {
	if d := p.byType[typ]; d != nil {
		if dict := d.load(); dict != nil {
			dst = append(dst, packedS2Dict, d.number)
			dst = slices.Grow(dst, s2.MaxEncodedLen(len(json)))
			return dst[:len(dst)+len(dict.Encode(dst[len(dst):cap(dst)], json))] // it encodes in place where there is room
		}
	}
	if len(json) < 64 {
		return append(append(dst, packedPlain), json...)
	}
	dst = slices.Grow(append(dst, packedS2), s2.MaxEncodedLen(len(json)))
	return dst[:len(dst)+len(s2.Encode(dst[len(dst):cap(dst)], json))]
}

// sealed returns a version's body for storage, packed and then sealed. It opens for this version of this resource only.
func (p *packer) sealed(key *seal.Key, v *Version) []byte {
	scratch := p.borrow()
	defer p.scratch.Put(scratch)
	*scratch = p.pack((*scratch)[:0], v.Type, v.JSON)
	if key.Off() {
		return bytes.Clone(*scratch)
	}
	return key.Seal(make([]byte, 0, len(*scratch)+seal.Overhead), *scratch, versionLabel(v.RID, v.Number))
}

func (p *packer) borrow() *[]byte {
	if scratch, ok := p.scratch.Get().(*[]byte); ok {
		return scratch
	}
	return new([]byte)
}

// versionLabel is what a version's body is bound to. A superseded version moves to the history as it is.
func versionLabel(rid, number int64) []byte {
	label := make([]byte, 0, 24)
	label = append(label, "records/"...)
	label = binary.BigEndian.AppendUint64(label, uint64(rid))   //nolint:gosec // the bits on purpose
	return binary.BigEndian.AppendUint64(label, uint64(number)) //nolint:gosec // the bits on purpose
}

// unseal returns the JSON of a version's stored body, in memory of its own.
func (s *Service) unseal(ctx context.Context, rid, number int64, body []byte) ([]byte, error) {
	if len(body) == 0 || body[0] != seal.Sealed {
		return s.packer.unpack(body)
	}
	key, err := s.keys.For(ctx)
	if err != nil {
		return nil, err
	}
	scratch := s.packer.borrow()
	defer s.packer.scratch.Put(scratch)
	*scratch, err = key.Open((*scratch)[:0], body, versionLabel(rid, number))
	if err != nil {
		return nil, fault.Internal("a stored body does not open").With(err)
	}
	return s.packer.unpack(*scratch)
}

// unpack returns the JSON of a stored body in memory of its own.
func (p *packer) unpack(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, nil
	}
	var (
		out []byte
		err error
	)
	switch body[0] {
	case packedPlain:
		return bytes.Clone(body[1:]), nil
	case packedS2:
		out, err = s2.Decode(nil, body[1:])
	case packedS2Dict:
		if len(body) < 2 || p.byNumber[body[1]] == nil {
			return nil, fault.Internal("a stored body names a dictionary that this version of Ward does not have")
		}
		dict := p.byNumber[body[1]].load()
		if dict == nil {
			return nil, fault.Internal("dictionary %d is damaged", body[1])
		}
		out, err = dict.Decode(nil, body[2:])
	default:
		return nil, fault.Internal("a stored body is packed in an unknown way (%d)", body[0])
	}
	if err != nil {
		return nil, fault.Internal("a stored body is damaged").With(err)
	}
	return out, nil
}
