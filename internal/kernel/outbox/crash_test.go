package outbox_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ward/internal/backend/bus"
	"ward/internal/backend/bus/embedded"
	"ward/internal/backend/db"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/scope"
	"ward/internal/kernel/module"
	"ward/internal/kernel/outbox"
)

// TestCrash_NoCommittedEventIsLost kills a process that enqueues, relays and consumes, again and again, and finds in the end that every event that was
// acknowledged was handled.
func TestCrash_NoCommittedEventIsLost(t *testing.T) {
	if dir := os.Getenv("WARD_OUTBOX_CHILD"); dir != "" {
		crashChild(t, dir)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	const kills = 5
	for round := range kills {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCrash_NoCommittedEventIsLost$") //nolint:gosec // itself
		child.Env = append(os.Environ(), "WARD_OUTBOX_CHILD="+dir, fmt.Sprint("WARD_OUTBOX_ROUND=", round))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		until := len(acknowledged) + 100 + 61*round // at another moment each time
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "ACK "); ok {
				acknowledged[data] = true
			}
			if len(acknowledged) >= until {
				_ = child.Process.Kill()
			}
		}
		_ = child.Wait()
	}
	if len(acknowledged) < kills*100 {
		t.Fatalf("only %d events were acknowledged", len(acknowledged))
	}
	d, b := openIn(t, dir)
	h := newHouse(t, d, b)
	var last witness
	o := h.outbox(last.consumer("c", "x"))
	h.run(o)
	await(t, "the rest is handled", func() bool {
		for _, key := range last.keys() {
			delete(acknowledged, strings.TrimPrefix(key, "1 x "))
		}
		if len(acknowledged) > 0 { // handled by a process that was killed later
			for line := range strings.FieldsSeq(readFile(t, dir+"/handled")) {
				delete(acknowledged, line)
			}
		}
		return len(acknowledged) == 0
	})
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name) //nolint:gosec // a test's
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func openIn(t *testing.T, dir string) (*db.DB, *bus.Bus) {
	t.Helper()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir + "/db"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := embedded.Open(t.Context(), embedded.Config{Dir: dir + "/nats"}, bus.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_ = b.Close(ctx)
		_ = d.Close(ctx)
	})
	return d, b
}

// crashChild enqueues until it is killed.
func crashChild(t *testing.T, dir string) {
	t.Helper()
	d, b := openIn(t, dir)
	h := newHouse(t, d, b)
	handled, err := os.OpenFile(dir+"/handled", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // a test's
	if err != nil {
		t.Fatal(err)
	}
	o, err := outbox.New(outbox.Config{}, outbox.Deps{
		DB: d, Bus: b, Keys: h.keys, Tenants: func(context.Context) ([]scope.Tenant, error) { return h.all, nil },
		Consumers: []module.Consumer{{Name: "c", Subject: "x", Handle: func(_ context.Context, e module.Event) error {
			_, err := handled.WriteString(string(e.Data) + "\n") // in the kernel's hands: it survives the kill
			return err
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.run(o)
	for i := 0; ; i++ {
		data := fmt.Sprintf("%s-%d", os.Getenv("WARD_OUTBOX_ROUND"), i)
		h.enqueue(o, 1, "x", data)
		fmt.Println("ACK " + data)
	}
}
