package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ward/internal/app"
	"ward/internal/base/testenv"
)

// authority is a certificate authority of a test, in a folder: ca.pem, and server.pem with server.key for 127.0.0.1.
func authority(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey, serverKey := key(), key()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	write("ca.pem", "CERTIFICATE", der)
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if der, err = x509.CreateCertificate(rand.Reader, server, ca, serverKey.Public(), caKey); err != nil {
		t.Fatal(err)
	}
	write("server.pem", "CERTIFICATE", der)
	if der, err = x509.MarshalPKCS8PrivateKey(serverKey); err != nil {
		t.Fatal(err)
	}
	write("server.key", "PRIVATE KEY", der)
	return dir
}

// freePort is a port of 127.0.0.1 that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	var c net.ListenConfig
	l, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// serves starts a server and waits until its port answers.
func serves(t *testing.T, port, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path = "/usr/sbin/" + program; exec.Command(path, "--version").Run() != nil { //nolint:noctx // over at once
			testenv.Missing(t, program+" is not installed: run scripts/services install")
		}
	}
	c := exec.Command(path, args...) //nolint:gosec,noctx // ended below
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Process.Kill(), c.Wait() })
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		d := net.Dialer{Timeout: time.Second}
		if conn, err := d.DialContext(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
			_ = conn.Close()
			return
		}
	}
	t.Fatal(program, " does not answer")
}

const tlsChild = "WARD_TEST_TLS_CHILD"

// TestTLS_Child is what TestTLS_ToBackends runs in a process of its own, whose trusted authorities are those of SSL_CERT_FILE.
func TestTLS_Child(t *testing.T) {
	setting, ok := os.LookupEnv(tlsChild)
	if !ok {
		return // nothing to do here
	}
	c, err := app.Load("", []string{setting}, map[string]string{"data": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	part := map[string]string{"WARD_CACHE_URL": "cache", "WARD_BUS_URL": "bus"}[strings.SplitN(setting, "=", 2)[0]]
	looked := false
	app.Examine(t.Context(), c, func(f app.Finding) {
		if f.Part == part {
			looked = true
			if f.Wrong || f.Warning { // without its second tier a cache works, slower
				t.Error(f.Says)
			}
		}
	})
	if !looked {
		t.Errorf("nobody looked at the %s", part)
	}
}

// TestTLS_ToBackends: Redis and NATS with a certificate are used when their authority is trusted, refused when another is, and a server without TLS is
// refused where the URL asks for it.
func TestTLS_ToBackends(t *testing.T) {
	t.Parallel()
	ours, another := authority(t), authority(t)
	redis, nats, plainRedis, plainNATS := freePort(t), freePort(t), freePort(t), freePort(t)
	cert, key := filepath.Join(ours, "server.pem"), filepath.Join(ours, "server.key")
	serves(t, redis, "redis-server", "--port", "0", "--tls-port", redis, "--bind", "127.0.0.1", "--save", "", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no", "--dir", t.TempDir())
	serves(t, plainRedis, "redis-server", "--port", plainRedis, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	serves(t, nats, "nats-server", "-a", "127.0.0.1", "-p", nats, "-js", "-sd", t.TempDir(), "--tls", "--tlscert", cert, "--tlskey", key)
	serves(t, plainNATS, "nats-server", "-a", "127.0.0.1", "-p", plainNATS, "-js", "-sd", t.TempDir())
	for name, test := range map[string]struct {
		setting, trusted string
		works            bool
	}{
		"Redis":                           {"WARD_CACHE_URL=rediss://127.0.0.1:" + redis, ours, true},
		"Redis, another authority":        {"WARD_CACHE_URL=rediss://127.0.0.1:" + redis, another, false},
		"Redis without TLS, asked for it": {"WARD_CACHE_URL=rediss://127.0.0.1:" + plainRedis, ours, false},
		"NATS":                            {"WARD_BUS_URL=tls://127.0.0.1:" + nats, ours, true},
		"NATS, another authority":         {"WARD_BUS_URL=tls://127.0.0.1:" + nats, another, false},
		"NATS without TLS, asked for it":  {"WARD_BUS_URL=tls://127.0.0.1:" + plainNATS, ours, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestTLS_Child$", "-test.count", "1") //nolint:gosec // this very binary
			c.Env = append(os.Environ(), tlsChild+"="+test.setting, "SSL_CERT_FILE="+filepath.Join(test.trusted, "ca.pem"), "SSL_CERT_DIR="+t.TempDir())
			out, err := c.CombinedOutput()
			if (err == nil) != test.works {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
