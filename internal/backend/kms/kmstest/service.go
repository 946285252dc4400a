package kmstest

import (
	"bytes"
	"testing"

	"ward/internal/backend/kms"
	"ward/internal/backend/kms/secret"
)

// Service is a key service for tests of other packages: keys derived from a secret that is always the same.
func Service(t testing.TB) kms.Driver {
	t.Helper()
	d, err := secret.New(bytes.Repeat([]byte{42}, kms.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
