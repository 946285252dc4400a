package jsontape

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// scanString finds the first byte from i on that a plain string can't contain: a quote, a backslash or a control
// character. The second result is non-zero when a byte before it is not ASCII.
func scanString(src []byte, i int) (stop int, high uint64) {
	for len(src)-i >= 8 {
		w := binary.LittleEndian.Uint64(src[i:])
		// c^2 < 0x21 exactly for the quote and the control characters. Borrows only reach bytes above a hit,
		// so the lowest hit is exact.
		low := (w ^ 0x02*ones) - 0x21*ones
		backslash := (w ^ '\\'*ones) - ones
		m := (low | backslash) &^ w & highs
		if m != 0 {
			k := bits.TrailingZeros64(m)
			return i + k>>3, (high | w&(1<<k-1)) & highs
		}
		high |= w
		i += 8
	}
	for ; i < len(src); i++ {
		c := src[i]
		if c < 0x20 || c == '"' || c == '\\' {
			break
		}
		high |= uint64(c)
	}
	return i, high & highs
}

// skipSpace gives the offset of the first byte from i on that is no whitespace.
func skipSpace(src []byte, i int) int {
	for i < len(src) {
		switch src[i] {
		case ' ':
			for len(src)-i >= 8 && binary.LittleEndian.Uint64(src[i:]) == ' '*ones {
				i += 8
			}
			for i < len(src) && src[i] == ' ' {
				i++
			}
		case '\n', '\t', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// scanNumber gives the end of the number at i, and whether it is one; if not, end is where it went wrong.
func scanNumber(src []byte, i int) (end int, ok bool) {
	if src[i] == '-' {
		i++
	}
	switch {
	case i < len(src) && src[i] == '0':
		i++
	default:
		from := i
		if i = scanDigits(src, i); i == from {
			return i, false
		}
	}
	if i < len(src) && src[i] == '.' {
		from := i + 1
		if i = scanDigits(src, from); i == from {
			return i, false
		}
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		from := i
		if i = scanDigits(src, i); i == from {
			return i, false
		}
	}
	return i, true
}

func scanDigits(src []byte, i int) int {
	for i < len(src) && src[i]-'0' < 10 {
		i++
	}
	return i
}

// slowString reads the string whose content starts at from and whose first remarkable byte is at stop: it
// checks UTF-8 and, when there are escapes, appends a record of the unescaped content to d.text. It gives the
// offset of the closing quote, and the record's offset with escaped set.
func (d *Doc) slowString(src []byte, from, stop int) (end int, record uint32, escaped bool, err *SyntaxError) {
	if stop < len(src) && src[stop] == '"' {
		return stop, 0, false, checkUTF8(src, from, stop)
	}
	start := len(d.text)
	d.text = append(d.text, 0, 0, 0, 0, 0, 0, 0, 0)
	for i := from; ; {
		stop, high := scanString(src, i)
		if high != 0 {
			if err := checkUTF8(src, i, stop); err != nil {
				return 0, 0, false, err
			}
		}
		d.text = append(d.text, src[i:stop]...)
		switch {
		case stop >= len(src):
			return 0, 0, false, syntaxError(src, from-1, "the string that starts here has no closing quote")
		case src[stop] == '"':
			if len(d.text)-start-8 > maxSource || len(d.text) > maxSource {
				return 0, 0, false, syntaxError(src, from-1, "the document is too large")
			}
			binary.LittleEndian.PutUint32(d.text[start:], uint32(len(d.text)-start-8)) //nolint:gosec // checked above
			binary.LittleEndian.PutUint32(d.text[start+4:], uint32(from))              //nolint:gosec // within maxSource
			return stop, uint32(start), true, nil                                      //nolint:gosec // checked above
		case src[stop] != '\\':
			return 0, 0, false, syntaxError(src, stop, fmt.Sprintf(
				"a string may not contain the control character U+%04X as it is; write it as \\u%04X", src[stop], src[stop]))
		}
		if i, err = d.unescape(src, stop); err != nil {
			return 0, 0, false, err
		}
	}
}

// unescape appends what the escape at i stands for, and gives the offset after it.
func (d *Doc) unescape(src []byte, i int) (after int, err *SyntaxError) {
	if i+1 >= len(src) {
		return 0, syntaxError(src, i, "the document ends inside an escape")
	}
	c := src[i+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return d.unescapeUnicode(src, i)
	default:
		return 0, syntaxError(src, i, `an escape must be one of \" \\ \/ \b \f \n \r \t \uXXXX`)
	}
	d.text = append(d.text, c)
	return i + 2, nil
}

func (d *Doc) unescapeUnicode(src []byte, i int) (after int, err *SyntaxError) {
	r, ok := hex4(src, i)
	if !ok {
		return 0, syntaxError(src, i, `\u needs four hexadecimal digits`)
	}
	after = i + 6
	if utf16.IsSurrogate(r) {
		low, ok := hex4(src, after)
		pair := utf16.DecodeRune(r, low)
		if !ok || pair == utf8.RuneError {
			return 0, syntaxError(src, i, `this \u escape is half of a surrogate pair; both halves must follow each other`)
		}
		r, after = pair, after+6
	}
	d.text = utf8.AppendRune(d.text, r)
	return after, nil
}

// hex4 reads \uXXXX at i.
func hex4(src []byte, i int) (rune, bool) {
	if len(src)-i < 6 || src[i] != '\\' || src[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range src[i+2 : i+6] {
		switch {
		case c-'0' < 10:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func checkUTF8(src []byte, from, to int) *SyntaxError {
	if utf8.Valid(src[from:to]) {
		return nil
	}
	for i := from; i < to; {
		r, size := utf8.DecodeRune(src[i:to])
		if r == utf8.RuneError && size == 1 {
			return syntaxError(src, i, fmt.Sprintf("the byte 0x%02X is not valid UTF-8 here", src[i]))
		}
		i += size
	}
	return nil
}

// record is the unescaped string whose record starts at off in d.text.
func (d *Doc) record(off uint32) []byte {
	n := binary.LittleEndian.Uint32(d.text[off:])
	return d.text[off+8 : off+8+n : off+8+n]
}

// recordOffset is where the content of that string starts in the source.
func (d *Doc) recordOffset(off uint32) int {
	return int(binary.LittleEndian.Uint32(d.text[off+4:]))
}
