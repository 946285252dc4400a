package records

import (
	"bytes"

	"ward/internal/kernel/access"
)

// mentions says whether a resource may refer to a patient of the set. It looks for references in the bytes, which is quicker than reading
// them as JSON: what it denies is true, what it affirms is to be looked at.
func mentions(json []byte, among *access.Set) bool {
	const before = "Patient/"
	if bytes.IndexByte(json, '\\') >= 0 {
		return true // a reference may be written in escapes
	}
	for {
		i := bytes.Index(json, []byte(before))
		if i < 0 {
			return false
		}
		json = json[i+len(before):]
		end := 0
		for end < len(json) && idByte(json[end]) {
			end++
		}
		if among.HasBytes(json[:end]) {
			return true
		}
	}
}

func idByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.'
}
