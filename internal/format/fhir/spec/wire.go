package spec

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"
)

// reader reads what gen's writer wrote: a table of strings, then numbers and positions in that table.
type reader struct {
	b       []byte
	strings []string
}

// open decompresses data and reads the table of strings. They share one block of memory.
func open(data []byte) *reader {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic("spec: " + err.Error())
	}
	defer z.Close()
	b, err := z.DecodeAll(data, nil)
	if err != nil {
		panic("spec: the embedded definitions are damaged: " + err.Error())
	}
	r := &reader{b: b}
	n := r.num()
	lengths := make([]int, n)
	total := 0
	for i := range lengths {
		lengths[i] = r.num()
		total += lengths[i]
	}
	block := string(r.b[:total])
	r.b = r.b[total:]
	r.strings = make([]string, n)
	for i, l := range lengths {
		r.strings[i], block = block[:l], block[l:]
	}
	return r
}

func (r *reader) num() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<31 {
		panic("spec: the embedded definitions are damaged")
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *reader) flag() bool { return r.num() != 0 }

func (r *reader) str() string { return r.strings[r.num()] }

// strs is nil when the list is empty.
func (r *reader) strs() []string {
	n := r.num()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.str()
	}
	return list
}
