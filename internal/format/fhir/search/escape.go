package search

import (
	"strings"
)

// split cuts a value at a separator that is not escaped (search.html#escaping). The parts keep their escapes.
func split(text string, separator byte) []string {
	if strings.IndexByte(text, separator) < 0 {
		return []string{text}
	}
	var parts []string
	start := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// unescape takes the escapes away. ok is false for a backslash before anything but , | $ and \.
func unescape(text string) (s string, ok bool) {
	if strings.IndexByte(text, '\\') < 0 {
		return text, true
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			i++
			if i == len(text) || strings.IndexByte(`,|$\`, text[i]) < 0 {
				return "", false
			}
		}
		b.WriteByte(text[i])
	}
	return b.String(), true
}
