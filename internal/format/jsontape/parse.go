package jsontape

import (
	"encoding/binary"
	"strconv"
)

// frame is an array or object that is being filled.
type frame struct {
	node  int32  // its node, -1 outside the root
	prev  int32  // its last child so far, -1 when it has none
	count uint32 // children so far
	bloom uint64 // one bit per key seen, by sift
}

// smallObject is up to how many members a key is compared with its predecessors one by one; the keys of a larger
// object go through a hash set when it closes, so that no input makes this quadratic.
const smallObject = 48

// Parse reads src, which must be exactly one JSON value with optional whitespace around it. The Doc keeps src and
// aliases it. Errors are *SyntaxError; the Doc is then empty.
func (d *Doc) Parse(src []byte) error {
	d.Reset()
	if len(src) > maxSource {
		return syntaxError(nil, 0, "the document is larger than 2 GB")
	}
	if d.MaxDepth <= 0 {
		d.MaxDepth = DefaultMaxDepth
	}
	if want := len(src) / 24; cap(d.tape) < want {
		d.tape = make([]node, 0, want)
	}
	d.src = src
	if err := d.parse(src); err != nil {
		d.Reset()
		return err
	}
	return nil
}

//nolint:gosec // offsets fit in 32 bits: Parse has checked the length
func (d *Doc) parse(src []byte) *SyntaxError {
	var (
		tape  = d.tape[:0]
		cur   = frame{node: -1, prev: -1}
		stack = d.stack[:0]
		// A FHIR document has a value every 25 bytes or so. The limit keeps hostile ones (`[0,0,0,…`) from
		// taking 12 bytes of memory for each of theirs.
		limit    = 1<<16 + len(src)/8
		maxDepth = d.MaxDepth
		key      uint32
		meta     uint32 // flags and key length of the member being read
		spaces   bool
		err      *SyntaxError
	)
	i := skipSpace(src, 0)
	spaces = i > 0

value:
	if i >= len(src) {
		return expected(src, i, "a value")
	}
	{
		n := int32(len(tape))
		if cur.prev >= 0 {
			tape[cur.prev].next = n
		}
		cur.prev = n
		cur.count++
		if len(tape) >= limit {
			return syntaxError(src, i, "the document has too many values for its size")
		}
		switch c := src[i]; c {
		case '"':
			end, high := scanString(src, i+1)
			var aux uint32
			if high != 0 || end >= len(src) || src[end] != '"' {
				var escaped bool
				if end, aux, escaped, err = d.slowString(src, i+1, end); err != nil {
					return err
				}
				if escaped {
					meta |= valueEscaped
				}
			}
			tape = append(tape, node{off: uint32(i), end: uint32(end + 1), key: key, next: -1, aux: aux, meta: meta | uint32(String)})
			i = end + 1
		case '{', '[':
			kind := Object
			if c == '[' {
				kind = Array
			}
			if len(stack) >= maxDepth {
				err := syntaxError(src, i, "arrays and objects are nested too deeply here")
				err.Deep = true
				return err
			}
			tape = append(tape, node{off: uint32(i), key: key, next: -1, meta: meta | uint32(kind)})
			stack = append(stack, cur)
			cur = frame{node: n, prev: -1}
			i++
			if i < len(src) && src[i] <= ' ' {
				spaces = true
				i = skipSpace(src, i)
			}
			if i < len(src) && src[i] == c+2 { // the closing bracket comes two after the opening one in ASCII
				goto closing
			}
			if kind == Object {
				goto member
			}
			meta, key = 0, 0
			goto value
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			end, ok := scanNumber(src, i)
			if !ok {
				return expected(src, end, "a digit")
			}
			if c == '0' && end == i+1 && end < len(src) && src[end]-'0' < 10 {
				return syntaxError(src, i, "a number may not start with 0 and another digit")
			}
			tape = append(tape, node{off: uint32(i), end: uint32(end), key: key, next: -1, meta: meta | uint32(Number)})
			i = end
		default:
			kind, end := scanLiteral(src, i)
			if end == 0 {
				return expected(src, i, "a value")
			}
			tape = append(tape, node{off: uint32(i), end: uint32(end), key: key, next: -1, meta: meta | uint32(kind)})
			i = end
		}
	}

after:
	if i < len(src) && src[i] <= ' ' {
		spaces = true
		i = skipSpace(src, i)
	}
	if cur.node < 0 {
		if i < len(src) {
			return expected(src, i, "nothing after the end of the document")
		}
		d.tape, d.stack, d.tight = tape, stack, !spaces
		return nil
	}
	if i >= len(src) {
		return unclosed(src, tape[cur.node])
	}
	if tape[cur.node].meta&kindMask == uint32(Array) {
		switch src[i] {
		case ',':
			i++
			if i < len(src) && src[i] <= ' ' {
				spaces = true
				i = skipSpace(src, i)
			}
			meta, key = 0, 0
			goto value
		case ']':
			goto closing
		}
		return expected(src, i, "',' or ']' after an element")
	}
	switch src[i] {
	case ',':
		i++
		if i < len(src) && src[i] <= ' ' {
			spaces = true
			i = skipSpace(src, i)
		}
		goto member
	case '}':
		goto closing
	}
	return expected(src, i, "',' or '}' after a member")

member:
	{
		if i >= len(src) || src[i] != '"' {
			if i < len(src) && src[i] == '}' {
				return syntaxError(src, i, "expected a key after the comma, found '}'; remove the comma")
			}
			return expected(src, i, "a key in double quotes")
		}
		from := i + 1
		end, high := scanString(src, from)
		key, meta = uint32(from), keyed
		if high != 0 || end >= len(src) || src[end] != '"' {
			var escaped bool
			var record uint32
			if end, record, escaped, err = d.slowString(src, from, end); err != nil {
				return err
			}
			if escaped {
				key, meta = record, keyed|keyEscaped
			}
		}
		if end-from > maxKey {
			return syntaxError(src, i, "this key is too long")
		}
		meta |= uint32(end-from) << keyShift
		if cur.count < smallObject {
			bit := uint64(1) << sift(src, from, end)
			if meta&keyEscaped != 0 {
				bit = ^uint64(0)
			}
			if cur.bloom&bit != 0 && d.hasKey(tape, cur.node, key, meta) {
				return syntaxError(src, i, safeKey(d.keyOf(key, meta))+" occurs twice in this object")
			}
			cur.bloom |= bit
		}
		i = end + 1
		if i < len(src) && src[i] <= ' ' {
			spaces = true
			i = skipSpace(src, i)
		}
		if i >= len(src) || src[i] != ':' {
			return expected(src, i, "':' after a key")
		}
		i++
		if i < len(src) && src[i] <= ' ' {
			spaces = true
			i = skipSpace(src, i)
		}
		goto value
	}

closing:
	{
		i++
		t := &tape[cur.node]
		t.end, t.aux = uint32(i), cur.count
		if cur.count > smallObject && Kind(t.meta&kindMask) == Object {
			if dup := d.duplicate(tape, cur.node); dup >= 0 {
				m := tape[dup]
				d.tape = tape
				return syntaxError(src, d.KeyOffset(Node(dup)), safeKey(d.keyOf(m.key, m.meta))+" occurs twice in this object")
			}
		}
		cur = stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		goto after
	}
}

// scanLiteral gives the kind and the end of the literal at i, an end of 0 when there is none.
func scanLiteral(src []byte, i int) (Kind, int) {
	rest := src[i:]
	switch {
	case len(rest) >= 4 && string(rest[:4]) == "true":
		return True, i + 4
	case len(rest) >= 5 && string(rest[:5]) == "false":
		return False, i + 5
	case len(rest) >= 4 && string(rest[:4]) == "null":
		return Null, i + 4
	}
	return None, 0
}

func unclosed(src []byte, t node) *SyntaxError {
	what := "',' or '}'"
	if Kind(t.meta&kindMask) == Array {
		what = "',' or ']'"
	}
	line, column := Position(src, int(t.off))
	e := expected(src, len(src), what)
	e.Message += " inside what starts at line " + strconv.Itoa(line) + ", column " + strconv.Itoa(column)
	return e
}

// sift maps a key to one of 64 bits by its length, its first bytes and its last.
func sift(src []byte, from, end int) uint64 {
	n := end - from
	var w uint64
	if n >= 8 {
		w = binary.LittleEndian.Uint64(src[from:]) ^ binary.LittleEndian.Uint64(src[end-8:])*3
	} else if len(src)-from >= 8 {
		w = binary.LittleEndian.Uint64(src[from:]) << (64 - 8*uint(n))
	} else {
		for _, c := range src[from:end] {
			w = w>>8 | uint64(c)<<56
		}
	}
	return (w ^ uint64(n)) * 0x9E3779B97F4A7C15 >> 58 //nolint:gosec // n is a length
}

// keyOf is the unescaped key that a node with these fields has.
func (d *Doc) keyOf(key, meta uint32) []byte {
	if meta&keyEscaped != 0 {
		return d.record(key)
	}
	return d.src[key : key+meta>>keyShift]
}

// hasKey says whether a member that obj already has bears this key.
func (d *Doc) hasKey(tape []node, obj int32, key, meta uint32) bool {
	if int(obj)+1 >= len(tape) {
		return false
	}
	k := d.keyOf(key, meta)
	for n := obj + 1; n >= 0; n = tape[n].next {
		if string(d.keyOf(tape[n].key, tape[n].meta)) == string(k) {
			return true
		}
	}
	return false
}
