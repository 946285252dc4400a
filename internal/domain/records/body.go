package records

import (
	"bytes"
	"embed"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"ward/internal/base/fault"
)

// A stored body begins with a byte that says how the rest is packed. Dictionaries are part of the format: a number,
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

// pack returns json packed for storage.
func (p *packer) pack(typ string, json []byte) []byte {
	if d := p.byType[typ]; d != nil {
		if dict := d.load(); dict != nil {
			scratch, _ := p.scratch.Get().(*[]byte)
			if scratch == nil {
				scratch = new([]byte)
			}
			if room := s2.MaxEncodedLen(len(json)); cap(*scratch) < room {
				*scratch = make([]byte, room)
			}
			packed := dict.Encode((*scratch)[:cap(*scratch)], json)
			body := make([]byte, 2, 2+len(packed))
			body[0], body[1] = packedS2Dict, d.number
			body = append(body, packed...)
			p.scratch.Put(scratch)
			return body
		}
	}
	if len(json) < 64 {
		return append([]byte{packedPlain}, json...)
	}
	return append([]byte{packedS2}, s2.Encode(nil, json)...)
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
