// Package vault wraps under keys of a server that speaks Vault's transit protocol (HashiCorp Vault, OpenBao): one transit key for each name, so that
// destroying a tenant's key destroys it in the server, whatever backups of Ward's databases hold.
//
// The token needs: create, update on <mount>/encrypt/<prefix>*, update on <mount>/decrypt/<prefix>*, and create, read, update, delete on <mount>/keys/<prefix>*.
package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"ward/internal/backend/kms"
	"ward/internal/base/fault"
)

// Guard runs a call that leaves the process; kernel/resilience's Policy is one.
type Guard interface {
	Do(ctx context.Context, call func(ctx context.Context) error) error
}

// Deps are what the driver works with. Guard may be nil.
type Deps struct {
	Guard  Guard
	Client *http.Client // nil for one with a time limit of 5 s
}

// Driver speaks to one mount of a server.
type Driver struct {
	base, mount, prefix string
	token, tokenFile    string
	namespace           string
	client              *http.Client
	guard               Guard
}

// Open reads an address such as vault://TOKEN@vault.example.org:8200/transit/ward-?namespace=ns: host, the mount of the transit engine, and a
// prefix of the keys' names (default "ward-"). It is spoken to by TLS; vault+http:// is without, for loopback. In place of the token in the address,
// token-file=PATH names a file that is read at every call, as a Vault agent keeps it.
//
// Errors: Invalid for an address that can't be.
func Open(address string, deps Deps) (*Driver, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "vault" && u.Scheme != "vault+http" {
		return nil, fault.Invalid("a key server's address is written vault://TOKEN@HOST:8200/transit/ward-")
	}
	scheme := "https://"
	if u.Scheme == "vault+http" {
		scheme = "http://"
	}
	mount, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if mount == "" {
		mount = "transit"
	}
	if prefix == "" {
		prefix = "ward-"
	}
	if kms.CheckKey(mount) != nil || kms.CheckKey(prefix) != nil {
		return nil, fault.Invalid("the mount and the prefix in a key server's address are made of a-z, 0-9 and -")
	}
	d := &Driver{
		base: scheme + u.Host, mount: mount, prefix: prefix, token: u.User.Username(), tokenFile: u.Query().Get("token-file"),
		namespace: u.Query().Get("namespace"), client: deps.Client, guard: deps.Guard,
	}
	if d.token == "" && d.tokenFile == "" {
		return nil, fault.Invalid("a key server's address needs a token: vault://TOKEN@HOST:8200/transit/ward-, or token-file=PATH behind a question mark")
	}
	if d.client == nil {
		d.client = &http.Client{Timeout: 5 * time.Second}
	}
	return d, nil
}

// Name is the same for all addresses of one server.
func (d *Driver) Name() string { return "vault:" + d.mount + "/" + d.prefix }

// Wrap as kms.Driver: POST <mount>/encrypt/<key>, which makes the key when it is not there.
func (d *Driver) Wrap(ctx context.Context, key string, plain, associated []byte) ([]byte, error) {
	if err := kms.CheckPlain(plain); err != nil {
		return nil, err
	}
	var answer struct{ Ciphertext string }
	err := d.call(ctx, http.MethodPost, "encrypt", key, "", map[string]any{"plaintext": plain, "associated_data": associated, "type": keyType}, &answer)
	if err == nil && !strings.HasPrefix(answer.Ciphertext, "vault:") {
		err = fault.Internal("the key server gave no ciphertext")
	}
	return []byte(answer.Ciphertext), err
}

const keyType = "aes256-gcm96"

// Unwrap as kms.Driver: POST <mount>/decrypt/<key>.
func (d *Driver) Unwrap(ctx context.Context, key string, wrapped, associated []byte) ([]byte, error) {
	var answer struct{ Plaintext string }
	err := d.call(ctx, http.MethodPost, "decrypt", key, "", map[string]any{"ciphertext": string(wrapped), "associated_data": associated}, &answer)
	if err != nil {
		return nil, err
	}
	plain, err := base64.StdEncoding.DecodeString(answer.Plaintext)
	if err != nil || len(plain) == 0 {
		return nil, fault.Internal("the key server gave no plaintext")
	}
	return plain, nil
}

// Rotate as kms.Driver: POST <mount>/keys/<key>/rotate.
func (d *Driver) Rotate(ctx context.Context, key string) error {
	if err := d.call(ctx, http.MethodGet, "keys", key, "", nil, nil); err != nil {
		return err
	}
	return d.call(ctx, http.MethodPost, "keys", key, "/rotate", map[string]any{}, nil)
}

// Destroy as kms.Driver: the key is allowed to be deleted, then deleted.
func (d *Driver) Destroy(ctx context.Context, key string) error {
	err := d.call(ctx, http.MethodGet, "keys", key, "", nil, nil)
	if fault.Is(err, fault.CodeNotFound) {
		return nil
	}
	if err == nil {
		err = d.call(ctx, http.MethodPost, "keys", key, "/config", map[string]any{"deletion_allowed": true}, nil)
	}
	if err == nil {
		err = d.call(ctx, http.MethodDelete, "keys", key, "", nil, nil)
	}
	return err
}

// Check asks for the server's health.
func (d *Driver) Check(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/v1/sys/health?standbyok=true&perfstandbyok=true", nil)
	if err != nil {
		return fault.Internal("the key server's address").With(err)
	}
	res, err := d.client.Do(r)
	if err != nil {
		return unreachable(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fault.Unavailable("the key server is not ready (status %d): it may be sealed", res.StatusCode)
	}
	return nil
}

func unreachable(err error) error {
	return fault.Unavailable("the key server can't be reached").Retry(time.Second).With(err)
}

// call runs one request; into takes the answer's data.
func (d *Driver) call(ctx context.Context, method, verb, key, suffix string, body, into any) (err error) {
	defer fault.Op(&err, "vault", verb, key)
	if err := kms.CheckKey(key); err != nil {
		return err
	}
	if d.guard == nil {
		return d.once(ctx, method, verb+"/"+d.prefix+key+suffix, body, into)
	}
	return d.guard.Do(ctx, func(ctx context.Context) error {
		return d.once(ctx, method, verb+"/"+d.prefix+key+suffix, body, into)
	})
}

func (d *Driver) once(ctx context.Context, method, path string, body, into any) error {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body) // []byte becomes base64, as the protocol wants it
		if err != nil {
			return fault.Internal("write a request").With(err)
		}
		sent = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, d.base+"/v1/"+d.mount+"/"+path, sent)
	if err != nil {
		return fault.Internal("the key server's address").With(err)
	}
	token := d.token
	if d.tokenFile != "" {
		b, err := os.ReadFile(d.tokenFile)
		if err != nil {
			return fault.Unavailable("the file with the key server's token can't be read").With(err)
		}
		token = strings.TrimSpace(string(b))
	}
	r.Header.Set("X-Vault-Token", token)
	r.Header.Set("X-Vault-Request", "true")
	if d.namespace != "" {
		r.Header.Set("X-Vault-Namespace", d.namespace)
	}
	res, err := d.client.Do(r)
	if err != nil {
		return unreachable(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return unreachable(err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return refused(res.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	var envelope struct{ Data json.RawMessage }
	if err := json.Unmarshal(answer, &envelope); err == nil {
		err = json.Unmarshal(envelope.Data, into)
		if err == nil {
			return nil
		}
	}
	return fault.Internal("the key server's answer can't be read")
}

// refused turns a status into a fault. The server's words are for the log only.
func refused(status int, answer []byte) error {
	var said struct{ Errors []string }
	_ = json.Unmarshal(answer, &said) // else there are no words
	cause := serverError(strings.Join(said.Errors, "; "))
	switch {
	case status == http.StatusNotFound, status == http.StatusBadRequest && strings.Contains(string(cause), "key not found"):
		return fault.NotFound("the key server has no such key").With(cause)
	case status == http.StatusBadRequest:
		return fault.Unprocessable("the key server can't open this, or not so").With(cause)
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return fault.Denied("the key server refuses the token of seal.kms: give one that may use the transit keys").With(cause)
	default:
		return fault.Unavailable("the key server answers with status %d", status).Retry(time.Second).With(cause)
	}
}

type serverError string

func (e serverError) Error() string { return string(e) }
