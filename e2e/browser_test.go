package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// browser is a Chromium of the test's own, with one window.
type browser struct {
	*testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps the window in it
}

// step is something that a person does.
type step = chromedp.Action[chromedp.Void]

// newBrowser starts the browser that WARD_TEST_BROWSER names, or Debian's. Without one the test is skipped, and in CI it fails.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := os.Getenv("WARD_TEST_BROWSER")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no browser: scripts/browser installs one")
		}
		t.Skip("there is no browser: run scripts/browser")
	}
	bounded, late := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(late)
	ctx, closeWindow := chromedp.NewContext(bounded, chromedp.WithAllocatorOptions(
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir())))
	t.Cleanup(closeWindow)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	return &browser{t, ctx}
}

// do carries out the steps, each within 20 seconds, and says where it got stuck.
func (b *browser) do(steps ...step) {
	b.Helper()
	for i, s := range steps {
		ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
		err := chromedp.Do(ctx, s)
		cancel()
		if err != nil {
			b.stuck(i+1, err)
		}
	}
}

func (b *browser) stuck(at int, err error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	where, _ := chromedp.Run(ctx, chromedp.Location())
	page, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	b.Fatalf("step %d: %v at %s: %.1500s", at, err, where, page)
}

// fill types into a field.
func fill(field, text string) step {
	return chromedp.Steps(chromedp.WaitVisible(chromedp.CSS(field)), chromedp.SendKeys(chromedp.CSS(field), text))
}

func click(what string) step {
	return chromedp.Steps(chromedp.WaitVisible(chromedp.CSS(what)), chromedp.Click(chromedp.CSS(what)))
}

func see(what string) step { return chromedp.WaitVisible(chromedp.CSS(what)) }

// text is what a thing says, once it is there.
func (b *browser) text(of string) string {
	b.Helper()
	b.do(see(of))
	return strings.TrimSpace(eval[string](b, "document.querySelector("+quoted(of)+").innerText"))
}

// out is the JSON that an app shows.
func (b *browser) out() map[string]any {
	b.Helper()
	text := b.text("#out")
	v := map[string]any{}
	if err := json.Unmarshal([]byte(text), &v); err != nil || v["failed"] != nil {
		b.Fatalf("the app failed: %s", text)
	}
	return v
}

// signOut forgets every session.
func (b *browser) signOut() {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		b.Fatal(err)
	}
}

// eval runs a script in the page and gives what its promise comes to.
func eval[T any](b *browser, script string) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.stuck(0, err)
	}
	return out
}

func quoted(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(out)
}
