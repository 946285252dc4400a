package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ward/internal/base/fault"
)

// Embedded databases belong to one process. So that `ward token create` and the like work while it serves, that process answers
// them on a loopback address that only who may read its data folder finds: control.json holds the address and a secret.

const controlFile = "control.json"

type controlAddress struct {
	Address string `json:"address"`
	Secret  string `json:"secret"`
}

// control is the side of the process that has the data.
type control struct {
	path string
	http *http.Server
}

// listenControl answers the desk's operations until closed.
func (a *App) listenControl(ctx context.Context) (*control, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fault.Unavailable("no loopback address is free for the command line").With(err)
	}
	at := controlAddress{Address: l.Addr().String(), Secret: rand.Text() + rand.Text()}
	text, err := json.Marshal(at) //nolint:gosec // the secret is what the file is for: its owner alone may read it
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	c := &control{path: filepath.Join(a.Config.Data, controlFile), http: &http.Server{
		Handler: guardControl(at.Secret, a.controlMux()), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Minute, WriteTimeout: 10 * time.Minute,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}}
	if err := writeFile(c.path, text); err != nil {
		return nil, errors.Join(fault.Internal("%s can't be written", c.path).With(err), l.Close())
	}
	go func() { _ = c.http.Serve(l) }()
	return c, nil
}

func (c *control) close(ctx context.Context) error {
	if c == nil {
		return nil
	}
	_ = os.Remove(c.path)
	return c.http.Shutdown(ctx)
}

func guardControl(secret string, next http.Handler) http.Handler {
	want := []byte("Bearer " + secret)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			http.Error(w, "this address is for the command line", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// wireFailed is a fault on its way between two processes.
type wireFailed struct {
	Code    uint8          `json:"code"`
	Message string         `json:"message"`
	Details []fault.Detail `json:"details,omitempty"`
}

func failedOnWire(err error) *wireFailed {
	return &wireFailed{uint8(fault.CodeOf(err)), fault.Message(err), fault.Details(err)}
}

func (f *wireFailed) fault() error {
	return fault.New(fault.Code(f.Code), "%s", f.Message).Detail(f.Details...)
}

// operation is one thing that the desk does, by name: JSON in, JSON out.
func operation[In, Out any](mux *http.ServeMux, name string, do func(ctx context.Context, in In) (Out, error)) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		var in In
		var out Out
		err := json.NewDecoder(r.Body).Decode(&in)
		if err == nil {
			out, err = do(r.Context(), in)
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(fault.CodeOf(err).Status())
			_ = json.NewEncoder(w).Encode(failedOnWire(err))
			return
		}
		_ = json.NewEncoder(w).Encode(out)
	})
}

// caller is the side of the command line.
type caller struct {
	at   controlAddress
	http *http.Client
}

// dialControl finds the process that serves the folder; nil when none does.
func dialControl(ctx context.Context, data string) (*caller, error) {
	text, err := os.ReadFile(filepath.Join(data, controlFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nobody serves it
	}
	if err != nil {
		return nil, fault.Denied("a running Ward has this folder, and %s can't be read: run this as its user", filepath.Join(data, controlFile)).With(err)
	}
	c := &caller{http: &http.Client{}}
	if err := json.Unmarshal(text, &c.at); err != nil {
		return nil, nil //nolint:nilnil // left half-written by a crash: nobody serves it
	}
	probe, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := call[struct{}](probe, c, "ping", struct{}{}); err != nil {
		return nil, nil //nolint:nilnil // left behind by a crash: nobody serves it
	}
	return c, nil
}

func call[Out any](ctx context.Context, c *caller, name string, in any) (out Out, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.at.Address+"/"+name, bytes.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	r.Header.Set("Authorization", "Bearer "+c.at.Secret)
	res, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		return out, fault.Unavailable("the running Ward does not answer: is it stopping?").With(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		var f wireFailed
		if json.Unmarshal(text, &f) != nil {
			return out, fault.Unavailable("the running Ward answered %s: %s", res.Status, strings.TrimSpace(string(text)))
		}
		return out, f.fault()
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		return out, fault.Unavailable("the running Ward's answer was cut off").With(err)
	}
	return out, nil
}
