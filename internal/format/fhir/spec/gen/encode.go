package main

import (
	"encoding/binary"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// writer writes what spec's reader reads: a table of strings, then numbers and positions in that table.
type writer struct {
	body    []uint64
	strings map[string]int // position in the table
}

func newWriter() *writer { return &writer{strings: map[string]int{}} }

func (w *writer) num(n int) {
	if n < 0 {
		panic("negative number")
	}
	w.body = append(w.body, uint64(n))
}

func (w *writer) flag(b bool) {
	if b {
		w.num(1)
	} else {
		w.num(0)
	}
}

func (w *writer) str(s string) {
	if _, ok := w.strings[s]; !ok {
		w.strings[s] = len(w.strings)
	}
	w.body = append(w.body, uint64(w.strings[s]))
}

func (w *writer) strs(list []string) {
	w.num(len(list))
	for _, s := range list {
		w.str(s)
	}
}

// bytes is the compressed file.
func (w *writer) bytes() []byte {
	list := make([]string, 0, len(w.strings))
	for s := range w.strings {
		list = append(list, s)
	}
	sort.Slice(list, func(a, b int) bool { return w.strings[list[a]] < w.strings[list[b]] })
	out := binary.AppendUvarint(nil, uint64(len(list)))
	for _, s := range list {
		out = binary.AppendUvarint(out, uint64(len(s)))
	}
	for _, s := range list {
		out = append(out, s...)
	}
	for _, n := range w.body {
		out = binary.AppendUvarint(out, n)
	}
	return compress(out)
}

func compress(b []byte) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	if err != nil {
		panic(err)
	}
	return z.EncodeAll(b, nil)
}
