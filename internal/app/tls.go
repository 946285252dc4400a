package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"ward/internal/backend/blob"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/serve"
)

// TLS says whether clients come by https.
func (c *Config) TLS() bool { return c.HTTP.Certificate != "" || c.HTTP.ACME != "" }

// checkListeners returns fault.Invalid when somebody beyond this machine could reach a listener without TLS.
func (c *Config) checkListeners() error {
	if c.TLS() || c.Insecure {
		return nil
	}
	for _, l := range []struct{ key, address string }{{"http.listen", c.HTTP.Listen}, {"http.ops-listen", c.HTTP.OpsListen}} {
		if !serve.Loopback(l.address) {
			return fault.Invalid("%s is %s, which others than this machine reach, and there is no TLS: set http.certificate and http.key, or http.acme; "+
				"or, behind a proxy that ends TLS, say --insecure", l.key, l.address)
		}
	}
	return nil
}

// certificates are those had by ACME; nil when http.acme is empty. They are kept with the system's blobs, so that processes share them.
func (a *App) certificates() (get func(*tls.ClientHelloInfo) (*tls.Certificate, error), protocols []string) {
	h := a.Config.HTTP
	if h.ACME == "" {
		return nil, nil
	}
	m := &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: certificateStore{a.Backends.Blobs}, HostPolicy: autocert.HostWhitelist(strings.Split(h.ACME, ",")...), Email: h.ACMEEmail,
	}
	if h.ACMEDirectory != "" {
		m.Client = &acme.Client{DirectoryURL: h.ACMEDirectory}
	}
	return m.GetCertificate, []string{acme.ALPNProto}
}

// certificateStore keeps certificates and the account's key in the blob store.
type certificateStore struct{ blobs *blob.Store }

const mostCertificate = 1 << 20 // bytes

func certificateKey(name string) string { return "acme/" + hex.EncodeToString([]byte(name)) }

// Get as autocert.Cache.
func (s certificateStore) Get(ctx context.Context, name string) ([]byte, error) {
	r, _, err := s.blobs.Get(scope.WithSystem(ctx), certificateKey(name))
	if fault.Is(err, fault.CodeNotFound) {
		return nil, autocert.ErrCacheMiss
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, mostCertificate))
	return b, errors.Join(err, r.Close())
}

// Put as autocert.Cache.
func (s certificateStore) Put(ctx context.Context, name string, data []byte) error {
	_, err := s.blobs.Put(scope.WithSystem(ctx), certificateKey(name), "application/x-pem-file", bytes.NewReader(data), int64(len(data)))
	return err
}

// Delete as autocert.Cache.
func (s certificateStore) Delete(ctx context.Context, name string) error {
	return s.blobs.Delete(scope.WithSystem(ctx), certificateKey(name))
}
