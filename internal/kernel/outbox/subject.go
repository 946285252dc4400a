package outbox

import (
	"strings"

	"ward/internal/base/fault"
)

// checkSubject says what is wrong with a subject. Patterns may hold * for one word and end in > for one or more.
func checkSubject(subject string, pattern bool) error {
	words := strings.Split(subject, ".")
	for i, w := range words {
		if pattern && (w == "*" || w == ">" && i == len(words)-1) {
			continue
		}
		if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return fault.Internal("the event subject %q must be words of a-z 0-9 -, joined by dots", subject)
		}
	}
	if len(subject) > maxSubject {
		return fault.Internal("the event subject %q is longer than %d bytes", subject, maxSubject)
	}
	return nil
}

const maxSubject = 100

// matches says whether a subject is one of the pattern's.
func matches(pattern, subject string) bool {
	for {
		p, patternRest, patternMore := strings.Cut(pattern, ".")
		s, subjectRest, subjectMore := strings.Cut(subject, ".")
		if p == ">" {
			return s != ""
		}
		if p != "*" && p != s {
			return false
		}
		if !patternMore || !subjectMore {
			return patternMore == subjectMore
		}
		pattern, subject = patternRest, subjectRest
	}
}
