package oauth

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"ward/internal/base/fault"
)

func TestFetch_KnocksOnNoDoorBehindTheFirewall(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"93.184.215.14": true, "2606:2800:220:1::1": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "172.16.5.4": false, "192.168.1.1": false, "169.254.169.254": false, "fe80::1": false, "fd00::1": false,
		"100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "64:ff9b::a00:1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it knocked") }))
	t.Cleanup(inside.Close)
	if _, err := newFetcher().fetch(t.Context(), inside.URL); !fault.Is(err, fault.CodeUnavailable) {
		t.Error(err)
	}
}
