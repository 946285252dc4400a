package jsontape

import "math"

// Kind is the type of a JSON value.
type Kind uint8

// The kinds of JSON values. None is the kind of the Invalid node.
const (
	None Kind = iota
	Null
	False
	True
	Number
	String
	Array
	Object
)

// String gives the kind as a sentence would name it: "a string".
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case False, True:
		return "a boolean"
	case Number:
		return "a number"
	case String:
		return "a string"
	case Array:
		return "an array"
	case Object:
		return "an object"
	case None:
	}
	return "nothing"
}

// Node is the index of a value on the tape of one Doc. Nodes are numbered in the order of the source.
type Node int32

// Invalid is the node that stands for absence. All accessors accept it and answer with their zero.
const Invalid Node = -1

// DefaultMaxDepth is how deep arrays and objects may nest when Doc.MaxDepth is 0.
const DefaultMaxDepth = 200

// maxSource is the largest document in bytes; offsets on the tape have 32 bits.
const maxSource = math.MaxInt32

// node is one value. Its 24 bytes hold no pointer, so the collector never scans a tape.
type node struct {
	off, end uint32 // the value in the source, quotes included
	key      uint32 // offset of the key's content in the source, or of its record in text when keyEscaped
	next     int32  // next sibling, -1 at the end
	aux      uint32 // number of children, or for an escaped string the offset of its record in text
	meta     uint32 // kind, flags and the length of the key as written
}

const (
	kindMask     = 1<<4 - 1
	valueEscaped = 1 << 4 // aux is a record in text
	keyEscaped   = 1 << 5 // key is a record in text
	keyed        = 1 << 6 // the node is a member of an object
	keyShift     = 7
	maxKey       = 1<<(32-keyShift) - 1
)

// Doc is a parsed document. The zero Doc is ready for Parse and may be used again and again.
type Doc struct {
	// MaxDepth limits how deep arrays and objects may nest; 0 means DefaultMaxDepth.
	MaxDepth int

	src   []byte
	tape  []node
	text  []byte // records of unescaped strings: length (4 bytes), offset in src (4 bytes), content
	stack []frame
	seen  hashSet
	tight bool // no whitespace between the tokens
}

// Src gives the bytes that were parsed.
func (d *Doc) Src() []byte { return d.src }

// Compact says whether the document has no whitespace between its tokens, before or after them.
func (d *Doc) Compact() bool { return d.tight }

// Nodes is the number of values on the tape. Nodes are 0 ≤ n < Nodes(), in document order.
func (d *Doc) Nodes() int { return len(d.tape) }

// Root is the document's value; Invalid unless the last Parse succeeded.
func (d *Doc) Root() Node {
	if len(d.tape) == 0 {
		return Invalid
	}
	return 0
}

// Kind is the type of n, None for Invalid.
func (d *Doc) Kind(n Node) Kind {
	if n < 0 {
		return None
	}
	return Kind(d.tape[n].meta & kindMask)
}

// First is the first element of an array or the value of the first member of an object; Invalid when
// there is none or n is a scalar.
func (d *Doc) First(n Node) Node {
	if n < 0 {
		return Invalid
	}
	t := &d.tape[n]
	if Kind(t.meta&kindMask) < Array || t.aux == 0 {
		return Invalid
	}
	return n + 1
}

// Next is the next sibling of n; Invalid at the end.
func (d *Doc) Next(n Node) Node {
	if n < 0 {
		return Invalid
	}
	return Node(d.tape[n].next)
}

// Last is the last element or the value of the last member; Invalid when there is none.
func (d *Doc) Last(n Node) Node {
	last := d.First(n)
	for next := last; next >= 0; next = d.Next(next) {
		last = next
	}
	return last
}

// After is the node that follows n and everything inside it in document order, which may be Nodes().
func (d *Doc) After(n Node) Node {
	end := d.tape[n].end
	lo, hi := int(n)+1, len(d.tape)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if d.tape[mid].off < end {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return Node(lo)
}

// Len is the number of elements of an array or of members of an object, 0 for anything else.
func (d *Doc) Len(n Node) int {
	if n < 0 {
		return 0
	}
	t := &d.tape[n]
	if Kind(t.meta&kindMask) < Array {
		return 0
	}
	return int(t.aux)
}

// Index is the element i of an array, counted from 0; Invalid when n is no array or has no such element.
func (d *Doc) Index(n Node, i int) Node {
	if i < 0 || d.Kind(n) != Array {
		return Invalid
	}
	e := d.First(n)
	for ; i > 0 && e >= 0; i-- {
		e = d.Next(e)
	}
	return e
}

// Get is the value of the member with this key; Invalid when there is none or obj is no object.
func (d *Doc) Get(obj Node, key string) Node {
	if obj < 0 {
		return Invalid
	}
	t := &d.tape[obj]
	if Kind(t.meta&kindMask) != Object || t.aux == 0 {
		return Invalid
	}
	for n := int32(obj) + 1; n >= 0; {
		m := &d.tape[n]
		if m.meta&keyEscaped == 0 {
			if int(m.meta>>keyShift) == len(key) && string(d.src[m.key:m.key+uint32(len(key))]) == key { //nolint:gosec // equal to a key's length
				return Node(n)
			}
		} else if string(d.record(m.key)) == key {
			return Node(n)
		}
		n = m.next
	}
	return Invalid
}

// Key is the key of a member's value, unescaped; nil when n is no member. It aliases the source or the Doc.
func (d *Doc) Key(n Node) []byte {
	if n < 0 {
		return nil
	}
	t := &d.tape[n]
	switch t.meta & (keyed | keyEscaped) {
	case keyed:
		return d.src[t.key : t.key+t.meta>>keyShift]
	case keyed | keyEscaped:
		return d.record(t.key)
	}
	return nil
}

// Raw is the value exactly as it was written, quotes included. It aliases the source.
func (d *Doc) Raw(n Node) []byte {
	if n < 0 {
		return nil
	}
	t := &d.tape[n]
	return d.src[t.off:t.end:t.end]
}

// RawMember is the member as it was written, from the quote of its key to the end of its value; the
// value alone when n is no member.
func (d *Doc) RawMember(n Node) []byte {
	if n < 0 {
		return nil
	}
	end := d.tape[n].end
	return d.src[d.KeyOffset(n):end:end]
}

// Bytes is a string's value, unescaped, or the text of a number or literal. It aliases the source or the Doc.
// For arrays and objects it is the same as Raw.
func (d *Doc) Bytes(n Node) []byte {
	if n < 0 {
		return nil
	}
	t := &d.tape[n]
	if Kind(t.meta&kindMask) != String {
		return d.src[t.off:t.end:t.end]
	}
	if t.meta&valueEscaped != 0 {
		return d.record(t.aux)
	}
	return d.src[t.off+1 : t.end-1 : t.end-1]
}

// Text is Bytes as a string of its own.
func (d *Doc) Text(n Node) string { return string(d.Bytes(n)) }

// Escaped says whether a string's value is written with escapes.
func (d *Doc) Escaped(n Node) bool { return n >= 0 && d.tape[n].meta&valueEscaped != 0 }

// Offset is where the value starts in the source, in bytes.
func (d *Doc) Offset(n Node) int {
	if n < 0 {
		return 0
	}
	return int(d.tape[n].off)
}

// End is the byte after the value in the source.
func (d *Doc) End(n Node) int {
	if n < 0 {
		return 0
	}
	return int(d.tape[n].end)
}

// KeyOffset is where the opening quote of a member's key stands in the source; Offset when n is no member.
func (d *Doc) KeyOffset(n Node) int {
	if n < 0 {
		return 0
	}
	t := &d.tape[n]
	switch t.meta & (keyed | keyEscaped) {
	case keyed:
		return int(t.key) - 1
	case keyed | keyEscaped:
		return d.recordOffset(t.key) - 1
	}
	return int(t.off)
}

// Position is the line and column of the value, both counted from 1; a column is a Unicode character.
func (d *Doc) Position(n Node) (line, column int) { return Position(d.src, d.Offset(n)) }

// KeyPosition is the line and column of the member's key, of the value when n is no member.
func (d *Doc) KeyPosition(n Node) (line, column int) { return Position(d.src, d.KeyOffset(n)) }
