package main

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"ward/internal/app"
)

// bar shows how far an import is: a moving bar on a terminal, nothing where nobody watches.
type bar struct {
	*progressbar.ProgressBar
}

func newBar(w *world, what string, total int64) *bar {
	if !w.terminal {
		return &bar{}
	}
	return &bar{progressbar.NewOptions64(total, progressbar.OptionSetWriter(w.err), progressbar.OptionSetDescription(what), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())}
}

// show moves the bar. The whole is reached only at the end, by finish.
func (b *bar) show(read int64, what string, r app.ImportReport) {
	if b.ProgressBar == nil {
		return
	}
	b.Describe(fmt.Sprintf("%s: %d resources", what, r.Resources()))
	if most := b.GetMax64(); most > 0 {
		read = min(read, most-1)
	}
	_ = b.Set64(read)
}

func (b *bar) finish() {
	if b.ProgressBar != nil {
		_ = b.Finish()
	}
}
