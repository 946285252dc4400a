package vault_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ward/internal/backend/kms"
	"ward/internal/backend/kms/kmstest"
	"ward/internal/backend/kms/vault"
	"ward/internal/base/fault"
)

func open(t *testing.T, address string) kms.Driver {
	t.Helper()
	d, err := vault.Open(address, vault.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestVault(t *testing.T) {
	t.Parallel()
	address := kmstest.Transit(t)
	kmstest.Run(t, kmstest.Options{}, func(t *testing.T) kms.Driver { t.Helper(); return open(t, address) })
}

// TestVault_RealServer runs the suite on the server that WARD_TEST_VAULT names, such as vault+http://root@127.0.0.1:8200/transit/ward-.
func TestVault_RealServer(t *testing.T) {
	t.Parallel()
	address := os.Getenv("WARD_TEST_VAULT")
	if address == "" {
		t.Log("WARD_TEST_VAULT names no server: TestVault stands for it")
		return
	}
	kmstest.Run(t, kmstest.Options{}, func(t *testing.T) kms.Driver { t.Helper(); return open(t, address) })
}

func TestVault_TokenFromAFile(t *testing.T) {
	t.Parallel()
	address := kmstest.Transit(t)
	path := filepath.Join(t.TempDir(), "token")
	d := open(t, strings.Replace(address, kmstest.TransitToken+"@", "", 1)+"?token-file="+url.QueryEscape(path))
	if _, err := d.Wrap(t.Context(), "tenant-1", []byte("x"), nil); !fault.Is(err, fault.CodeUnavailable) {
		t.Errorf("without the file: %v", err)
	}
	for content, want := range map[string]fault.Code{"another\n": fault.CodeDenied, kmstest.TransitToken + "\n": 0} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Wrap(t.Context(), "tenant-1", []byte("x"), nil); (want == 0) != (err == nil) || err != nil && !fault.Is(err, want) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestVault_Away(t *testing.T) {
	t.Parallel()
	d := open(t, "vault+http://x@127.0.0.1:1/transit")
	for name, err := range map[string]error{
		"check":  d.Check(t.Context()),
		"unwrap": func() error { _, err := d.Unwrap(t.Context(), "tenant-1", []byte("vault:v1:"), nil); return err }(),
	} {
		if !fault.Is(err, fault.CodeUnavailable) || strings.Contains(fault.Message(err), "x@") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVault_Addresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "vault://", "https://t@h/transit", "vault://h:8200/transit", "vault://t@h/Transit", "vault://t@h/transit/a/b", "vault://t@h/../x"} {
		if _, err := vault.Open(address, vault.Deps{}); !fault.Is(err, fault.CodeInvalid) || strings.Contains(err.Error(), "t@h") {
			t.Errorf("%q: %v", address, err)
		}
	}
	if d := open(t, "vault://t@h:8200/"); d.Name() != "vault:transit/ward-" {
		t.Error(d.Name())
	}
}
