package people_test

import (
	"bytes"
	"net/http/httptest"
	"net/netip"
	"testing"

	"ward/internal/kernel/identity/people"
)

// TestAddress: only what a known proxy says is believed, and a loopback address says nothing.
func TestAddress(t *testing.T) {
	t.Parallel()
	p, err := people.New(people.Deps{Key: bytes.Repeat([]byte{1}, 32), Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ remote, forwarded, want string }{
		{"192.0.2.7:99", "", "192.0.2.7/32"},
		{"192.0.2.7:99", "203.0.113.9", "192.0.2.7/32"},
		{"10.1.2.3:99", "203.0.113.9", "203.0.113.9/32"},
		{"10.1.2.3:99", "198.51.100.1, 203.0.113.9", "203.0.113.9/32"},
		{"10.1.2.3:99", "198.51.100.1, 203.0.113.9, 10.9.9.9", "203.0.113.9/32"},
		{"10.1.2.3:99", "nonsense", "10.1.2.3/32"},
		{"127.0.0.1:99", "203.0.113.9", "203.0.113.9/32"},
		{"127.0.0.1:99", "", ""},
		{"[::1]:99", "", ""},
		{"[2001:db8:1:2:3:4:5:6]:99", "", "2001:db8:1:2::/64"},
		{"[::ffff:192.0.2.7]:99", "", "192.0.2.7/32"},
		{"nonsense", "", ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = row.remote
		if row.forwarded != "" {
			r.Header.Set("X-Forwarded-For", row.forwarded)
		}
		got := ""
		if prefix, ok := p.Address(r); ok {
			got = prefix.String()
		}
		if got != row.want {
			t.Errorf("%s, forwarded for %q: %q, want %q", row.remote, row.forwarded, got, row.want)
		}
	}
}
