package validate

import (
	"testing"
	"time"
)

func TestScanners(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		scan     func([]byte) bool
		yes, not []string
	}{
		{
			"date", isDate,
			[]string{"2000", "0001", "9999", "2000-01", "2000-12", "2000-02-29", "1970-01-31", "2024-02-29"},
			[]string{"", "200", "20000", "0000", "2000-", "2000-00", "2000-13", "2000-1", "2000-01-", "2000-01-00", "2000-01-32", "2001-02-29", "1900-02-29", "2000-04-31", "2000-01-01T", "2000/01/01", "20-01-01", "2000-1-1", "２０００"},
		},
		{
			"dateTime", isDateTime,
			[]string{
				"2000", "2000-01", "2000-01-01", "2000-01-01T00:00:00Z", "2000-01-01T23:59:60Z", "2000-01-01T10:00:00.123456789+14:00", "2000-01-01T10:00:00-13:59",
			},
			[]string{
				"2000-01T10:00:00Z", "2000-01-01T10:00:00", "2000-01-01T10:00Z", "2000-01-01T24:00:00Z", "2000-01-01T10:60:00Z", "2000-01-01T10:00:61Z", "2000-01-01T10:00:00.Z",
				"2000-01-01T10:00:00+14:01", "2000-01-01T10:00:00+15:00", "2000-01-01T10:00:00+0100", "2000-01-01t10:00:00Z", "2000-01-01 10:00:00Z", "2000-01-01T10:00:00z", "2000-01-01T10:00:00Z ", "2000-01-01T",
			},
		},
		{
			"instant", isInstant,
			[]string{"2000-01-01T00:00:00Z", "2000-01-01T00:00:00.5+01:00"},
			[]string{"2000", "2000-01-01", "2000-01-01T00:00:00", ""},
		},
		{
			"time", isTime,
			[]string{"00:00:00", "23:59:60", "12:34:56.789"},
			[]string{"", "24:00:00", "12:34", "12:34:56Z", "12:34:56.", "1:02:03"},
		},
		{
			"id", isID,
			[]string{"a", "A-1.b", "0194d3ba-1f5c-7cc0-b2a1-6f0a4a3b9c11", "1234567890123456789012345678901234567890123456789012345678901234"},
			[]string{"", "a_b", "a b", "a/b", "é", "12345678901234567890123456789012345678901234567890123456789012345", "@", "[", "`", "{"},
		},
		{"code", isCode, []string{"a", "a b", "<=", "mm[Hg]"}, []string{" a", "a ", "a  b", "\ta", "a\n", "a \tb"}},
		{"uri", isURI, []string{"http://x", "urn:x", "a", "é"}, []string{"a b", "a\tb", " ", "\n"}},
		{
			"oid", isOID,
			[]string{"urn:oid:1.2", "urn:oid:2.16.840.1.113883", "urn:oid:0.0"},
			[]string{"1.2.3", "urn:oid:", "urn:oid:1", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1.", "urn:oid:1..2", "urn:oid:1.2a", "URN:OID:1.2"},
		},
		{
			"uuid", isUUID,
			[]string{"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
			[]string{"c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520", "urn:uuid:c757873d-ec9a-4326-a141-556f4323952", "urn:uuid:c757873d+ec9a-4326-a141-556f43239520", "urn:uuid:g757873d-ec9a-4326-a141-556f43239520"},
		},
		{
			"base64", isBase64,
			[]string{"AAAA", "AAA=", "AA==", "AAAA\nBBBB", " AAAA ", "+/+/"},
			[]string{"A", "AA", "AAA", "A===", "AA=A", "====A", "AAAA=", "AA-_", " ", "===="[:3]},
		},
		{
			"integer", func(b []byte) bool { return isInteger(b, leastInteger) },
			[]string{"0", "-1", "2147483647", "-2147483648", "-0"},
			[]string{"2147483648", "-2147483649", "1.0", "1e3", "99999999999999999999"},
		},
		{"positiveInt", func(b []byte) bool { return isInteger(b, 1) }, []string{"1", "2147483647"}, []string{"0", "-1", "1.5"}},
		{"unsignedInt", func(b []byte) bool { return isInteger(b, 0) }, []string{"0", "1"}, []string{"-1", "2147483648"}},
	} {
		for _, s := range row.yes {
			if !row.scan([]byte(s)) {
				t.Errorf("%s refuses %q", row.name, s)
			}
		}
		for _, s := range row.not {
			if row.scan([]byte(s)) {
				t.Errorf("%s takes %q", row.name, s)
			}
		}
	}
}

func TestMoment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2020-01-02T03:04:05Z":           "2020-01-02T03:04:05Z",
		"2020-01-02T03:04:05.25-05:30":   "2020-01-02T08:34:05.25Z",
		"2020-01-01T00:00:00+14:00":      "2019-12-31T10:00:00Z",
		"2016-12-31T23:59:60Z":           "2017-01-01T00:00:00Z",
		"2020-01-01T00:00:00.123456789Z": "2020-01-01T00:00:00.123456789Z",
	} {
		if got := moment([]byte(text)).Format(time.RFC3339Nano); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

// TestSorted guards the lists that are searched by halving.
func TestSorted(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{htmlElements, htmlAttributes} {
		for i := 1; i < len(list); i++ {
			if list[i-1] >= list[i] {
				t.Errorf("%s stands after %s", list[i], list[i-1])
			}
		}
	}
}
