// Package id makes and checks the ids of things that Ward keeps.
package id

import (
	"strings"

	"github.com/google/uuid"
)

// MaxLength is the longest id that FHIR allows, in characters (FHIR R4 datatypes.html#id).
const MaxLength = 64

// New is a new UUIDv7 in lower case, 36 characters. Ids made later sort later (RFC 9562 §5.7).
func New() string {
	u, err := uuid.NewV7()
	if err != nil {
		// The kernel's random source never fails once the machine is up; there is no safe id without it.
		panic("no random source: " + err.Error())
	}
	return u.String()
}

// Valid says whether s may be a resource's id: 1 to 64 of A-Z a-z 0-9 - and . (FHIR R4 datatypes.html#id).
func Valid(s string) bool {
	if s == "" || len(s) > MaxLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// IsUUID says whether s is a UUID in its 36-character form, in either case.
func IsUUID(s string) bool {
	return len(s) == 36 && !strings.HasPrefix(s, "{") && uuid.Validate(s) == nil
}
