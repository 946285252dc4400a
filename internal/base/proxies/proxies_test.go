package proxies_test

import (
	"net/http"
	"testing"

	"ward/internal/base/proxies"
)

func TestClient(t *testing.T) {
	t.Parallel()
	list, err := proxies.Parse("10.0.0.0/8, 192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		list                    proxies.List
		remote, forwarded, want string
	}{
		{nil, "203.0.113.9:1", "198.51.100.1", "203.0.113.9"},  // nobody is believed
		{list, "203.0.113.9:1", "198.51.100.1", "203.0.113.9"}, // whoever this is, no proxy of ours
		{list, "10.1.2.3:1", "198.51.100.1", "198.51.100.1"},
		{list, "10.1.2.3:1", "1.1.1.1, 198.51.100.1, 192.0.2.7", "198.51.100.1"}, // what the client itself wrote before is not believed
		{list, "10.1.2.3:1", "198.51.100.1, rubbish", "10.1.2.3"},
		{list, "10.1.2.3:1", "", "10.1.2.3"},
		{list, "[::ffff:10.1.2.3]:1", "2001:db8::1", "2001:db8::1"},
		{list, "[fe80::1%eth0]:1", "", "fe80::1"},
		{list, "pipe", "", "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: row.remote, Header: http.Header{}}
		if row.forwarded != "" {
			r.Header.Set("X-Forwarded-For", row.forwarded)
		}
		if got, ok := row.list.Client(r); got.String() != row.want || ok != (row.want != "invalid IP") {
			t.Errorf("%s forwarded for %q: %s %v, want %s", row.remote, row.forwarded, got, ok, row.want)
		}
	}
	if _, err := proxies.Parse("10.0.0.0/8,loadbalancer"); err == nil {
		t.Error("a name is no address")
	}
}
