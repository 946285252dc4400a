package oauth

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"ward/internal/base/fault"
)

// fetcher gets clients' key sets. It goes to public addresses only, so that a registration can't make Ward knock on doors behind the
// firewall, follows no redirects and takes at most 64 KB.
type fetcher struct{ client *http.Client }

func newFetcher() fetcher {
	dialer := &net.Dialer{Timeout: 2 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !public(at.Addr().Unmap()) {
			return errors.New("not a public address")
		}
		return nil
	}}
	return fetcher{&http.Client{
		Timeout:       4 * time.Second,
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 2 * time.Second, MaxResponseHeaderBytes: 16 << 10, IdleConnTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() &&
		!netip.MustParsePrefix("100.64.0.0/10").Contains(a) && !netip.MustParsePrefix("64:ff9b::/96").Contains(a)
}

func (f fetcher) fetch(ctx context.Context, url string) ([]byte, error) {
	unavailable := fault.Unavailable("the client's key set can't be had")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, unavailable.With(err)
	}
	r.Header.Set("Accept", "application/json")
	res, err := f.client.Do(r)
	if err != nil {
		return nil, unavailable.With(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, unavailable.With(errors.New(res.Status))
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxKeyText+1))
	if err != nil {
		return nil, unavailable.With(err)
	}
	return text, nil
}
