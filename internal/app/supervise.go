package app

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ward/internal/base/fault"
	"ward/internal/kernel/observe"
)

// supervisor keeps runners running: one that fails, panics or returns early is started again after a pause that doubles up to
// a minute, and is short again after it ran well for that long.
type supervisor struct {
	ctx    context.Context //nolint:containedctx // the runners' life
	cancel context.CancelFunc
	log    *slog.Logger
	failed *prometheus.CounterVec
	wait   sync.WaitGroup
}

const (
	firstPause = 100 * time.Millisecond
	lastPause  = time.Minute
)

func newSupervisor(ctx context.Context, log *slog.Logger, metrics *observe.Metrics) *supervisor {
	s := &supervisor{log: log, failed: metrics.Counter("ward_runner_failures_total", "Times that a background runner had to be started again.", "runner")}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

func (s *supervisor) start(name string, run func(ctx context.Context) error) {
	s.wait.Go(func() {
		pause := firstPause
		for s.ctx.Err() == nil {
			well := time.AfterFunc(lastPause, func() {}) // says afterwards whether it ran for that long
			err := guarded(s.ctx, run)
			if !well.Stop() {
				pause = firstPause
			}
			if s.ctx.Err() != nil {
				return
			}
			s.failed.WithLabelValues(name).Inc()
			s.log.ErrorContext(s.ctx, "a runner ended and is started again", slog.String("runner", name), slog.Duration("pause", pause), slog.Any("error", err))
			select {
			case <-s.ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, lastPause)
		}
	})
}

func guarded(ctx context.Context, run func(ctx context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internal("it panicked").With(fmt.Errorf("%v\n%s", p, debug.Stack()))
		}
	}()
	return run(ctx)
}

// stop ends the runners and waits for them until ctx ends.
func (s *supervisor) stop(ctx context.Context) error {
	s.cancel()
	ended := make(chan struct{})
	go func() {
		s.wait.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fault.Timeout("runners were still at work when the time to drain was over").With(ctx.Err())
	}
}
