package kmstest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ward/internal/backend/kms"
)

// transit is a server that answers as Vault's transit engine does, status and words included, as far as the driver asks.
type transit struct {
	mu   sync.Mutex
	keys map[string]*transitKey
	seen []string // method and path of each request
}

type transitKey struct {
	versions  [][]byte
	deletable bool
}

func (s *transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Method+" "+r.URL.Path)
	if r.URL.Path == "/v1/sys/health" {
		_, _ = w.Write([]byte(`{"initialized":true,"sealed":false,"standby":false}`))
		return
	}
	if r.Header.Get("X-Vault-Token") != TransitToken {
		fail(w, http.StatusForbidden, "permission denied")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/transit/")
	verb, name, _ := strings.Cut(path, "/")
	name, action, _ := strings.Cut(name, "/")
	if !ok || name == "" {
		fail(w, http.StatusNotFound)
		return
	}
	var body struct {
		Plaintext      []byte
		Ciphertext     string
		AssociatedData []byte `json:"associated_data"`
		Type           string
		Deletable      bool `json:"deletion_allowed"`
	}
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			fail(w, http.StatusBadRequest, "error parsing JSON")
			return
		}
	}
	k := s.keys[name]
	switch r.Method + " " + verb + " " + action {
	case "POST encrypt ":
		if body.Type != "aes256-gcm96" {
			fail(w, http.StatusBadRequest, "unknown key type "+body.Type)
			return
		}
		if k == nil {
			k = &transitKey{versions: [][]byte{bytes.Repeat([]byte{byte(len(s.seen))}, 32)}}
			s.keys[name] = k
		}
		n := len(k.versions)
		boxed, err := kms.Box(nil, k.versions[n-1], body.Plaintext, body.AssociatedData)
		if err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		data(w, map[string]any{"ciphertext": fmt.Sprintf("vault:v%d:%s", n, base64.StdEncoding.EncodeToString(boxed)), "key_version": n})
	case "POST decrypt ":
		if k == nil {
			fail(w, http.StatusBadRequest, "encryption key not found")
			return
		}
		parts := strings.SplitN(body.Ciphertext, ":", 3)
		if len(parts) != 3 || parts[0] != "vault" {
			fail(w, http.StatusBadRequest, "invalid ciphertext: no prefix")
			return
		}
		n, err := strconv.Atoi(strings.TrimPrefix(parts[1], "v"))
		boxed, err2 := base64.StdEncoding.DecodeString(parts[2])
		if err != nil || err2 != nil || n < 1 || n > len(k.versions) {
			fail(w, http.StatusBadRequest, "invalid ciphertext: version is too new")
			return
		}
		plain, err := kms.Unbox(k.versions[n-1], boxed, body.AssociatedData)
		if err != nil {
			fail(w, http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		data(w, map[string]any{"plaintext": plain})
	case "GET keys ", "POST keys rotate", "POST keys config", "DELETE keys ":
		s.manage(w, r.Method+" "+action, name, body.Deletable)
	default:
		fail(w, http.StatusMethodNotAllowed, "unsupported operation")
	}
}

func (s *transit) manage(w http.ResponseWriter, what, name string, deletable bool) {
	k := s.keys[name]
	if k == nil {
		if what == "GET " {
			fail(w, http.StatusNotFound)
		} else {
			fail(w, http.StatusBadRequest, "no existing key named "+name+" could be found")
		}
		return
	}
	switch what {
	case "GET ":
		data(w, map[string]any{"name": name, "latest_version": len(k.versions)})
		return
	case "POST rotate":
		k.versions = append(k.versions, bytes.Repeat([]byte{byte(len(s.seen))}, 32))
	case "POST config":
		k.deletable = deletable
	case "DELETE ":
		if !k.deletable {
			fail(w, http.StatusBadRequest, "error deleting policy "+name+": deletion is not allowed for this key")
			return
		}
		delete(s.keys, name)
	}
	w.WriteHeader(http.StatusNoContent)
}

func data(w http.ResponseWriter, d any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"request_id": "r", "lease_id": "", "renewable": false, "data": d})
}

func fail(w http.ResponseWriter, status int, words ...string) {
	w.WriteHeader(status)
	if words == nil {
		words = []string{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": words})
}

// TransitToken is what [Transit] lets in.
const TransitToken = "hvs.token"

// Transit is the address of a server that answers as Vault's transit engine does.
func Transit(t testing.TB) (address string) {
	t.Helper()
	server := httptest.NewServer(&transit{keys: map[string]*transitKey{}})
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return "vault+http://" + TransitToken + "@" + u.Host + "/transit/ward-"
}
