package fhirpath

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"ward/internal/base/fault"
)

// maxLength is the longest expression in bytes, maxDepth how deep parentheses and arguments nest.
const (
	maxLength = 8192
	maxDepth  = 64
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenSymbol
	tokenString
	tokenNumber
	tokenDate // with a time or without
	tokenTime
	tokenVariable // $this, $index
	tokenConstant // %resource
)

type token struct {
	kind   tokenKind
	text   string // unescaped, without quotes and prefixes
	at     int    // bytes before it
	quoted bool   // a name between backticks, which is never an operator
}

// fail makes an error for a place in the expression.
func fail(src string, at int, format string, args ...any) *fault.Error {
	column := 1 + utf8.RuneCountInString(src[:min(at, len(src))])
	f := fault.Invalid(format, args...)
	return fault.Invalid("FHIRPath, character %d: %s", column, f.Message)
}

func lex(src string) ([]token, error) {
	if len(src) > maxLength {
		return nil, fault.Invalid("FHIRPath: the expression is longer than %d bytes", maxLength)
	}
	var out []token
	for i := 0; ; {
		for i < len(src) && strings.IndexByte(" \t\r\n", src[i]) >= 0 {
			i++
		}
		if i >= len(src) {
			return append(out, token{kind: tokenEnd, at: i}), nil
		}
		t, end, err := lexToken(src, i)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		i = end
	}
}

func lexToken(src string, i int) (t token, end int, err error) {
	c := src[i]
	t.at = i
	switch {
	case letter(c):
		end = nameEnd(src, i)
		t.kind, t.text = tokenName, src[i:end]
		return t, end, nil
	case c == '`':
		t.kind, t.quoted = tokenName, true
		t.text, end, err = lexQuoted(src, i)
		if err == nil && t.text == "" {
			err = fail(src, i, "a name can't be empty")
		}
		return t, end, err
	case c == '\'':
		t.kind = tokenString
		t.text, end, err = lexQuoted(src, i)
		return t, end, err
	case c == '"':
		return t, i, fail(src, i, "strings stand in single quotes")
	case digit(c):
		t.kind = tokenNumber
		end = lexNumber(src, i)
		t.text = src[i:end]
		if len(t.text) > 1 && t.text[0] == '0' && t.text[1] != '.' {
			return t, i, fail(src, i, "a number may not start with 0 and another digit")
		}
		return t, end, nil
	case c == '@':
		return lexDate(src, i)
	case c == '$':
		end = nameEnd(src, i+1)
		t.kind, t.text = tokenVariable, src[i+1:end]
		if t.text != "this" && t.text != "index" {
			return t, i, fail(src, i, "only $this and $index are known")
		}
		return t, end, nil
	case c == '%':
		end = nameEnd(src, i+1)
		t.kind, t.text = tokenConstant, src[i+1:end]
		if t.text != "resource" && t.text != "rootResource" && t.text != "context" {
			return t, i, fail(src, i, "%s", "only %resource, %rootResource and %context are known")
		}
		return t, end, nil
	}
	return lexSymbol(src, i)
}

func lexSymbol(src string, i int) (t token, end int, err error) {
	for _, symbol := range []string{"!=", "!~", "<=", ">=", ".", "(", ")", "[", "]", ",", "=", "<", ">", "|", "{", "}", "+", "-", "*", "/", "&", "~"} {
		if strings.HasPrefix(src[i:], symbol) {
			return token{kind: tokenSymbol, text: symbol, at: i}, i + len(symbol), nil
		}
	}
	return t, i, fail(src, i, "this character has no meaning here")
}

func letter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

func nameEnd(src string, i int) int {
	for i < len(src) && (letter(src[i]) || digit(src[i])) {
		i++
	}
	return i
}

func digitsEnd(src string, i int) int {
	for i < len(src) && digit(src[i]) {
		i++
	}
	return i
}

func lexNumber(src string, i int) int {
	i = digitsEnd(src, i)
	if i+1 < len(src) && src[i] == '.' && digit(src[i+1]) {
		i = digitsEnd(src, i+1)
	}
	return i
}

// lexDate reads @2015-02-04T14:34:28.123+09:00, any shorter form, or @T14:34.
func lexDate(src string, i int) (t token, end int, err error) {
	end = i + 1
	for end < len(src) && (digit(src[end]) || strings.IndexByte("-:.+TZ", src[end]) >= 0) {
		if src[end] == '.' && (end+1 == len(src) || !digit(src[end+1])) {
			break // an invocation
		}
		end++
	}
	t = token{kind: tokenDate, text: src[i+1 : end], at: i}
	if text, ok := strings.CutPrefix(t.text, "T"); ok {
		t.kind, t.text = tokenTime, text
	} else if text, ok := strings.CutSuffix(t.text, "T"); ok {
		t.text = text
	}
	l := literal{kind: kindOf(t.kind), text: t.text}
	if _, ok := l.scalar().interval(); !ok {
		return t, i, fail(src, i, "this is no date or time; they are written @2015-02-04, @2015-02-04T14:34:28Z and @T14:34:28")
	}
	return t, end, nil
}

// lexQuoted reads what stands between two of the quote at i, with escapes.
func lexQuoted(src string, i int) (text string, end int, err error) {
	quote := src[i]
	var b strings.Builder
	for j := i + 1; j < len(src); {
		c := src[j]
		switch {
		case c == quote:
			return b.String(), j + 1, nil
		case c != '\\':
			b.WriteByte(c)
			j++
		case j+1 < len(src) && src[j+1] == 'u':
			r, n := unicodeEscape(src[j:])
			if n == 0 {
				return "", i, fail(src, j, `\u needs four hexadecimal digits, and surrogates come in pairs`)
			}
			b.WriteRune(r)
			j += n
		case j+1 < len(src):
			at := strings.IndexByte("'\"`\\/nrtf", src[j+1])
			if at < 0 {
				return "", i, fail(src, j, "there is no such escape in a string")
			}
			b.WriteByte("'\"`\\/\n\r\t\f"[at])
			j += 2
		default:
			j++
		}
	}
	return "", i, fail(src, i, "the closing quote is missing")
}

func unicodeEscape(s string) (r rune, n int) {
	r, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, _ := hex4(s[6:])
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

func hex4(s string) (r rune, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	for _, c := range []byte(s[2:6]) {
		switch {
		case digit(c):
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
