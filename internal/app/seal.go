package app

import (
	"crypto/hkdf"
	"crypto/sha256"
	"path/filepath"
	"strings"

	"ward/internal/backend/kms"
	kmsfile "ward/internal/backend/kms/file"
	kmssecret "ward/internal/backend/kms/secret"
	"ward/internal/backend/kms/vault"
	"ward/internal/kernel/resilience"
	"ward/internal/kernel/seal"
)

// kmsPurpose is what the secret of the key service is derived for.
const kmsPurpose = "ward tenants' keys"

// seal opens the key services and makes the keys of tenants.
func (o opener) seal(b *Backends) (*seal.Keys, error) {
	service, err := o.keyService(o.config.Seal.KMS, b)
	if err != nil {
		return nil, err
	}
	d := seal.Deps{DB: b.DB, Service: service, Clock: o.clock, Log: o.log, Off: o.config.Seal.Off, Clear: o.config.Seal.Clear}
	if o.config.Seal.Old != "" {
		if d.Old, err = o.keyService(o.config.Seal.Old, b); err != nil {
			return nil, err
		}
	}
	if d.Off {
		o.log.Warn("SEALING IS OFF (seal.off): what is written now is kept in the clear, patients' data included; it is for measurements only")
	}
	k := seal.New(d)
	b.DB.Before(k.Warm)
	return k, nil
}

// keyService opens one by its address. By default it is files in the data folder, or key.secret where all processes are given one.
func (o opener) keyService(address string, b *Backends) (kms.Driver, error) {
	switch {
	case address == "" && o.config.Key.Secret == "":
		return kmsfile.Open(filepath.Join(o.config.Data, "keys"))
	case address == "", address == "secret:":
		return kmssecret.New(b.keys.kms)
	case scheme(address) == "secret":
		former, err := decodeKey(strings.TrimPrefix(address, "secret:"))
		if err == nil {
			former, err = hkdf.Key(sha256.New, former, nil, kmsPurpose, kms.KeySize)
		}
		if err != nil {
			return nil, err
		}
		return kmssecret.New(former)
	case scheme(address) == "file":
		return kmsfile.Open(strings.TrimPrefix(strings.TrimPrefix(address, "file:"), "//"))
	default:
		return vault.Open(address, vault.Deps{Guard: resilience.New(resilience.Config{Name: "kms", Metrics: o.calls})})
	}
}
