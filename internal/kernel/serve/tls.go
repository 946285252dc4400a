package serve

import (
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// certificates gives the certificate in the files, and the new one within a minute after it was renewed.
type certificates struct {
	certificate, key string
	clock            clock.Clock

	mu      sync.Mutex
	current *tls.Certificate
	written time.Time // of the certificate's file
	looked  time.Time
}

// Loopback says whether only this machine can reach a listener at host:port.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// tls is nil when no certificate is set.
func (o *Options) tls(c clock.Clock) (*tls.Config, error) {
	if o.Certificates != nil {
		return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: o.Certificates, NextProtos: o.Protocols}, nil
	}
	if o.Certificate == "" && o.Key == "" {
		return nil, nil //nolint:nilnil // no TLS
	}
	if o.Certificate == "" || o.Key == "" {
		return nil, fault.Invalid("TLS needs both files: set http.certificate and http.key")
	}
	kept := &certificates{certificate: o.Certificate, key: o.Key, clock: c}
	if _, err := kept.get(nil); err != nil {
		return nil, fault.Invalid("the certificate or its key can't be read: check the files of http.certificate and http.key").With(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: kept.get}, nil
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if c.current != nil && now.Sub(c.looked) < time.Minute {
		return c.current, nil
	}
	c.looked = now
	info, err := os.Stat(c.certificate)
	if err == nil && c.current != nil && info.ModTime().Equal(c.written) {
		return c.current, nil
	}
	fresh, loadErr := tls.LoadX509KeyPair(c.certificate, c.key)
	if err != nil || loadErr != nil {
		if c.current != nil {
			return c.current, nil // half-renewed files: the old certificate serves until the next look
		}
		return nil, loadErr
	}
	c.current, c.written = &fresh, info.ModTime()
	return c.current, nil
}
