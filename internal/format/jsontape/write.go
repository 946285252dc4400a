package jsontape

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// AppendQuoted appends s as a JSON string, with quotes. Only what must be escaped is; bytes that are not UTF-8
// become U+FFFD.
func AppendQuoted[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			end := min(i+utf8.UTFMax, len(s))
			if r, size := utf8.DecodeRuneInString(string(s[i:end])); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, "\ufffd"...)
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// AppendCompact appends src, which must be valid JSON, without the whitespace between its tokens. Numbers and
// strings stay as they are written.
func AppendCompact(dst, src []byte) []byte {
	for i := 0; i < len(src); {
		from := i
		for i < len(src) && src[i] > ' ' {
			if src[i] == '"' {
				i = skipString(src, i)
			} else {
				i++
			}
		}
		dst = append(dst, src[from:i]...)
		for i < len(src) && src[i] <= ' ' {
			i++
		}
	}
	return dst
}

// skipString gives the offset after the valid string that starts at i.
func skipString(src []byte, i int) int {
	for i++; i < len(src); {
		i, _ = scanString(src, i)
		if i >= len(src) {
			break
		}
		switch src[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			i++
		}
	}
	return len(src)
}

// AppendIndent appends src, which must be valid JSON, with a line for each member and element, indented by two
// spaces for each level; empty arrays and objects stay on their line. Numbers and strings stay as they are written.
func AppendIndent(dst, src []byte) []byte {
	depth := 0
	for i := 0; i < len(src); {
		switch c := src[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '"':
			end := skipString(src, i)
			dst = append(dst, src[i:end]...)
			i = end
		case '{', '[':
			dst = append(dst, c)
			i = skipSpace(src, i+1)
			if i < len(src) && src[i] == c+2 {
				dst = append(dst, c+2)
				i++
				break
			}
			depth++
			dst = appendLine(dst, depth)
		case '}', ']':
			depth--
			dst = append(appendLine(dst, depth), c)
			i++
		case ',':
			dst = appendLine(append(dst, c), depth)
			i++
		case ':':
			dst = append(dst, ':', ' ')
			i++
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

const blanks = "                                                                "

func appendLine(dst []byte, depth int) []byte {
	dst = append(dst, '\n')
	for n := 2 * depth; n > 0; n -= len(blanks) {
		dst = append(dst, blanks[:min(n, len(blanks))]...)
	}
	return dst
}
