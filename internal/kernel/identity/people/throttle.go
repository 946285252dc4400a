package people

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
)

// A throttled subject may fail some times freely; then each try has to wait, twice as long as before, up to the most. A try that comes too early is refused and does
// not count, so that nobody is kept out for longer than the most. After a while without tries all is forgotten.
type throttled struct {
	key  []byte
	free int64
	most time.Duration
}

const throttleMemory = 15 * time.Minute

// wait is how long after its last failure the subject must wait.
func (t throttled) wait(failures int64) time.Duration {
	if failures < t.free {
		return 0
	}
	return min(time.Second<<min(failures-t.free, 20), t.most)
}

// throttles are what a try counts against: the account, and the address that it comes from. A browser in which the person signed in before has a count of its
// own, so that those who try passwords elsewhere don't slow the person down, and the address, which a whole hospital may share, does not either.
func (p *People) throttles(ctx context.Context, r *http.Request, account string) []throttled {
	tenant := tenantOf(ctx)
	if device := p.device(ctx, r, account); device != "" {
		return []throttled{{p.keyed(tenant, "device", account, device), 10, 30 * time.Second}}
	}
	out := []throttled{{p.keyed(tenant, "account", account), 5, time.Minute}}
	if address, ok := p.Address(r); ok {
		out = append(out, throttled{p.keyed(tenant, "address", address.String()), 50, time.Minute})
	}
	return out
}

// Address is the network that the request comes from: an IPv4 address, or the /64 of an IPv6 one. A loopback address that is no known proxy's says nothing: it may be any
// proxy's.
func (p *People) Address(r *http.Request) (netip.Prefix, bool) {
	ip, ok := p.deps.Proxies.Client(r)
	if !ok {
		return netip.Prefix{}, false
	}
	if ip.IsLoopback() {
		return netip.Prefix{}, false
	}
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	prefix, err := ip.Prefix(bits)
	return prefix, err == nil
}

// count counts a try before it is made, so that many at once count too. It returns fault.Exhausted when it comes too early.
func (p *People) count(ctx context.Context, subjects []throttled) error {
	slices.SortFunc(subjects, func(a, b throttled) int { return bytes.Compare(a.key, b.key) }) // locked in one order
	now := p.now()
	var early time.Duration
	err := p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		early = 0
		failures := make([]int64, len(subjects))
		for i, s := range subjects {
			if err := tx.Lock(ctx, "identity_throttle "+hex.EncodeToString(s.key[:8])); err != nil {
				return err
			}
			err := tx.Query(ctx, "SELECT failures, last FROM identity_throttle WHERE subject = $1", func(r db.Row) error {
				last := moment(r.Int64(1))
				if now.Sub(last) < throttleMemory {
					failures[i] = r.Int64(0)
					early = max(early, s.wait(failures[i])-now.Sub(last))
				}
				return nil
			}, s.key)
			if err != nil {
				return err
			}
		}
		if early > 0 {
			return nil
		}
		for i, s := range subjects {
			if _, err := tx.Upsert(ctx, "identity_throttle", []string{"subject"}, db.Col("subject", [][]byte{s.key}), db.Col("failures", []int64{failures[i] + 1}), db.Col("last", []int64{now.UnixMilli()})); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "DELETE FROM identity_throttle WHERE last < $1", now.Add(-2*throttleMemory).UnixMilli())
		return err
	})
	if err == nil && early > 0 {
		p.deps.Audit.Security(ctx, audit.LockoutSlowed, "sign-in")
		err = fault.Exhausted("there were too many tries that failed: try again in %d seconds", int(early.Seconds())+1).Retry(early)
	}
	return err
}

// forgive takes back what a try that succeeded was counted for: the first subject, which is the account's or the browser's, starts anew.
func (p *People) forgive(ctx context.Context, subjects []throttled, account throttled) error {
	return p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		for _, s := range subjects {
			var err error
			if bytes.Equal(s.key, account.key) {
				_, err = tx.Exec(ctx, "DELETE FROM identity_throttle WHERE subject = $1", s.key)
			} else {
				_, err = tx.Exec(ctx, "UPDATE identity_throttle SET failures = failures - 1 WHERE subject = $1 AND failures > 0", s.key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// device is the mark of a browser in which the account's person signed in before; "" in others.
func (p *People) device(ctx context.Context, r *http.Request, account string) string {
	c, err := r.Cookie(p.deviceCookie(ctx, r, "").Name)
	if err != nil {
		return ""
	}
	for mark := range strings.SplitSeq(c.Value, ".") {
		if nonce, mac, ok := strings.Cut(mark, "-"); ok && len(nonce) >= 20 && mac == p.deviceMAC(ctx, account, nonce) {
			return nonce
		}
	}
	return ""
}

func (p *People) deviceMAC(ctx context.Context, account, nonce string) string {
	return hex.EncodeToString(p.keyed(tenantOf(ctx), "known device", account, nonce)[:16])
}

func (p *People) deviceCookie(ctx context.Context, r *http.Request, value string) *http.Cookie {
	c := newCookie(SecureFrom(r, p.deps.Sessions.deps.Secure), "device", tenantOf(ctx), value) //nolint:gosec // as newCookie makes it
	c.MaxAge = 400 * 24 * 3600
	return c
}

// remember marks the browser as one in which the account's person signed in; browsers that several people share hold several marks.
func (p *People) remember(ctx context.Context, w http.ResponseWriter, r *http.Request, account string) {
	if p.device(ctx, r, account) != "" {
		return
	}
	text, _ := secret()
	nonce := text[:26]
	value := nonce + "-" + p.deviceMAC(ctx, account, nonce)
	if c, err := r.Cookie(p.deviceCookie(ctx, r, "").Name); err == nil && c.Value != "" {
		others := strings.Split(c.Value, ".")
		value = strings.Join(append([]string{value}, others[:min(len(others), 19)]...), ".")
	}
	http.SetCookie(w, p.deviceCookie(ctx, r, value))
}
