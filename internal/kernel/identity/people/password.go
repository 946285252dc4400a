package people

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"ward/internal/base/fault"
)

// The 3,546 passwords that were found most often on Unix systems and websites; compiled by Solar Designer of the Openwall Project and assumed by it to be in the
// public domain (John the Ripper's password.lst of 2011).
//
//go:embed common.txt
var commonText string

// The shortest passwords (NIST SP 800-63B-4 §3.1.1.2), in characters, and the longest, in bytes.
const (
	shortestWithSecond = 8
	shortestAlone      = 15
	longestPassword    = 1024
)

// common are the passwords that people think of first.
var common = sync.OnceValue(func() map[string]bool { //nolint:gochecknoglobals // constant table
	words := map[string]bool{}
	for w := range strings.Lines(commonText) {
		words[strings.ToLower(strings.TrimSpace(w))] = true
	}
	return words
})

// checkPassword returns fault.Unprocessable, saying why, for a password that is too easy to guess. Any character may be in one and none must. about are words that
// those who know of the person would try.
func checkPassword(password string, shortest int, about ...string) error {
	switch {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return fault.Unprocessable("the password has characters that can't be typed")
	case utf8.RuneCountInString(password) < shortest:
		return fault.Unprocessable("the password is too short: use at least %d characters, several words for example", shortest)
	case len(password) > longestPassword:
		return fault.Unprocessable("the password is too long: %d bytes are the most", longestPassword)
	}
	lower := strings.ToLower(password)
	core := coreOf(lower)
	if common()[lower] || (core != "" && common()[core]) || utf8.RuneCountInString(core) == 0 && monotonous(lower) || monotonous(core) {
		return fault.Unprocessable("this password is one of those that are tried first: choose another")
	}
	for _, word := range about {
		if word = strings.ToLower(word); len(word) >= 4 && strings.Contains(lower, word) && len(lower)-len(word) < shortest {
			return fault.Unprocessable("the password holds your name, your address or this service's name: choose another")
		}
	}
	return nil
}

// coreOf is the password without what people add to a word: digits and signs around it, and signs that look like letters.
func coreOf(lower string) string {
	plain := strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")
	trimmed := strings.TrimFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) })
	return plain.Replace(trimmed)
}

// monotonous says whether the text repeats few characters or counts up or down.
func monotonous(text string) bool {
	runes := []rune(text)
	if len(runes) == 0 {
		return false
	}
	different := map[rune]bool{}
	steps := 0
	for i, r := range runes {
		different[r] = true
		if i > 0 && (r-runes[i-1] == 1 || r-runes[i-1] == -1 || r == runes[i-1] || r == '0' && runes[i-1] == '9') {
			steps++
		}
	}
	return len(different) <= 2 || steps >= len(runes)-2
}

// about are the words of a person that a password must not rest on.
func (p *Person) about() []string {
	words := strings.FieldsFunc(p.Email.Reveal()+" "+p.Name.Reveal(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return append(words, "ward")
}
