package search

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold appends the text as strings are compared (search.html#string): lower case, without accents and apostrophes, every run of
// spaces and other punctuation one space, none at the ends.
func fold(dst, text []byte) []byte {
	start := len(dst)
	gap := false
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return foldRunes(dst[:start], text)
		}
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c == '\'' || c == '`':
			continue
		default:
			gap = true
			continue
		}
		if gap && len(dst) > start {
			dst = append(dst, ' ')
		}
		gap = false
		dst = append(dst, c)
	}
	return dst
}

// plain are letters that Unicode does not decompose, and what they are without their strokes.
func plain(r rune) (string, bool) {
	switch r {
	case 'ø':
		return "o", true
	case 'ł':
		return "l", true
	case 'đ', 'ð':
		return "d", true
	case 'ħ':
		return "h", true
	case 'ı':
		return "i", true
	case 'ŧ':
		return "t", true
	case 'ß':
		return "ss", true
	case 'æ':
		return "ae", true
	case 'œ':
		return "oe", true
	case 'þ':
		return "th", true
	}
	return "", false
}

func foldRunes(dst, text []byte) []byte {
	start := len(dst)
	gap := false
	for text = norm.NFKD.Bytes(text); len(text) > 0; {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'', r == '`', r == '’', r == '‘', r == 'ʼ', r == '´':
			continue
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsNumber(r), unicode.IsMark(r):
		default:
			gap = true
			continue
		}
		if gap && len(dst) > start {
			dst = append(dst, ' ')
		}
		gap = false
		r = unicode.ToLower(r)
		if s, ok := plain(r); ok {
			dst = append(dst, s...)
		} else {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

const maxWords = 8

// beginnings calls visit with the folded text, and when every word counts with each rest that begins with a word, until visit returns true.
func beginnings(folded []byte, wordy bool, visit func([]byte) bool) bool {
	if len(folded) == 0 {
		return false
	}
	if visit(folded) {
		return true
	}
	for n := 1; wordy && n < maxWords; n++ {
		i := bytes.IndexByte(folded, ' ')
		if i < 0 {
			return false
		}
		if folded = folded[i+1:]; visit(folded) {
			return true
		}
	}
	return false
}

// foldCode appends a code in lower case: tokens are compared without case (search.html#token).
func foldCode(dst, code []byte) []byte {
	start := len(dst)
	for _, c := range code {
		if c >= utf8.RuneSelf {
			return append(dst[:start], bytes.ToLower(code)...)
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
