package secret_test

import (
	"bytes"
	"testing"

	"ward/internal/backend/kms"
	"ward/internal/backend/kms/kmstest"
	"ward/internal/backend/kms/secret"
	"ward/internal/base/fault"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	kmstest.Run(t, kmstest.Options{Fixed: true}, func(t *testing.T) kms.Driver {
		t.Helper()
		d, err := secret.New(bytes.Repeat([]byte{7}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestSecret_OthersOpenNothing(t *testing.T) {
	t.Parallel()
	one, err := secret.New(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	two, err := secret.New(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w, err := one.Wrap(t.Context(), "tenant-1", []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Unwrap(t.Context(), "tenant-1", w, nil); !fault.Is(err, fault.CodeUnprocessable) || one.Name() == two.Name() {
		t.Errorf("%v, %s and %s", err, one.Name(), two.Name())
	}
	if _, err := secret.New([]byte("short")); !fault.Is(err, fault.CodeInvalid) {
		t.Error(err)
	}
}
