// Package proxies finds the client of a request that came through proxies: the load balancers and gateways that the operator names, whose
// X-Forwarded-For is believed. Of others the header is ignored, for anybody can write anything there.
package proxies

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"ward/internal/base/fault"
)

// List is the addresses and networks of the proxies that are believed. The nil List believes nobody.
type List []netip.Prefix

// Parse reads addresses and networks (CIDR) that are joined by commas; "" is the nil List.
//
// Errors: Invalid, naming the part that is neither.
func Parse(text string) (List, error) {
	var out List
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if ip, err := netip.ParseAddr(part); err == nil {
			out = append(out, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fault.Invalid("%q is no address and no network such as 10.0.0.0/8", part)
		}
		out = append(out, prefix)
	}
	return out, nil
}

// Client is the address that the request comes from: that of the connection, or where a believed proxy sent it, the last in X-Forwarded-For that
// is no such proxy. It is without the zone of an IPv6 address; false when the connection has no address, as in some tests.
func (l List) Client(r *http.Request) (netip.Addr, bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false
	}
	if l.has(ip) {
		forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(forwarded) - 1; i >= 0 && l.has(ip); i-- {
			next, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
			if err != nil {
				break
			}
			ip = next
		}
	}
	return ip.Unmap().WithZone(""), true
}

func (l List) has(ip netip.Addr) bool {
	return len(l) > 0 && slices.ContainsFunc(l, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}
