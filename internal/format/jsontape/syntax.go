package jsontape

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// SyntaxError says where a document stops being JSON, and what was expected there. Its text is safe to show and
// to log: it names characters of the syntax and keys that look like field names, never values.
type SyntaxError struct {
	Offset  int    // bytes before the place
	Line    int    // from 1
	Column  int    // from 1, in Unicode characters
	Message string // a sentence without position
	Deep    bool   // it may be JSON, but is nested deeper than is read
}

// Error gives the message with line and column.
func (e *SyntaxError) Error() string {
	return "line " + strconv.Itoa(e.Line) + ", column " + strconv.Itoa(e.Column) + ": " + e.Message
}

// Position is the line and column of an offset in src, both counted from 1; a column is a Unicode character, an
// invalid byte counting as one.
func Position(src []byte, offset int) (line, column int) {
	offset = min(max(offset, 0), len(src))
	before := src[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before[:start], []byte{'\n'}), 1 + utf8.RuneCount(before[start:])
}

func syntaxError(src []byte, offset int, message string) *SyntaxError {
	line, column := Position(src, offset)
	return &SyntaxError{Offset: offset, Line: line, Column: column, Message: message}
}

// expected tells what should have stood at offset, and what stands there.
func expected(src []byte, offset int, what string) *SyntaxError {
	if offset >= len(src) {
		return syntaxError(src, len(src), "expected "+what+", but the document ends here")
	}
	return syntaxError(src, offset, "expected "+what+", found "+describe(src[offset:]))
}

// describe names the first character of rest without repeating letters or digits, which may be a patient's.
func describe(rest []byte) string {
	c := rest[0]
	switch {
	case c == '"':
		return "a string"
	case c == '\'':
		return "a single quote; strings need double quotes"
	case c == '/':
		return "'/'; JSON has no comments"
	case c >= '0' && c <= '9':
		return "a digit"
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		return "a letter outside a string"
	case bytes.HasPrefix(rest, []byte("\ufeff")):
		return "a byte order mark, which JSON does not allow"
	case c == '\t' || c == '\n' || c == '\r' || c == ' ':
		return "whitespace"
	case c < 0x20 || c == 0x7f:
		return fmt.Sprintf("the control character U+%04X", c)
	case c < utf8.RuneSelf:
		return "'" + string(rune(c)) + "'"
	}
	if r, size := utf8.DecodeRune(rest); r == utf8.RuneError && size == 1 {
		return fmt.Sprintf("the byte 0x%02X, which is not UTF-8", c)
	}
	return "a character outside a string"
}

// safeKey quotes a key that looks like a field name, and describes any other.
func safeKey(key []byte) string {
	if len(key) == 0 {
		return `the empty key`
	}
	if len(key) > 64 {
		return "a key"
	}
	for i, c := range key {
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return "a key"
		}
	}
	return `the key "` + string(key) + `"`
}
