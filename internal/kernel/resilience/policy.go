package resilience

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// Config is what a policy allows. The zero value of a field takes the default beside it.
type Config struct {
	Name        string           // of the dependency, in metrics and errors: "redis", "s3", "payer"
	Timeout     time.Duration    // of one attempt; 10 s
	Attempts    int              // including the first; 3
	Backoff     time.Duration    // before the second attempt, doubling after, each ± 25 %; 50 ms
	MaxBackoff  time.Duration    // 2 s
	Concurrency uint             // calls at once; 64
	MaxWait     time.Duration    // for a place among them; 0 is: don't wait
	Failures    uint             // of the last Window attempts that open the breaker; 5
	Window      uint             // attempts; 10
	OpenFor     time.Duration    // until one attempt is let through again; 5 s
	Failed      func(error) bool // says whether an error is the dependency's failure; [Failed]
	Metrics     Metrics          // none
	Clock       clock.Clock      // for Metrics; the machine's
}

// Metrics hears of every call and every change of a breaker. It must not block.
type Metrics interface {
	// Called reports one whole call, its attempts included. outcome is "ok", "refused" (the dependency said no), "failed",
	// "open" (the breaker) or "full" (the bulkhead).
	Called(name, outcome string, took time.Duration)
	// Breaker reports the state that name's breaker changed to: "closed", "open" or "half-open".
	Breaker(name, state string)
}

// Policy guards the calls to one dependency. It is safe for use by many goroutines; share one per dependency.
type Policy struct {
	name     string
	failed   func(error) bool
	metrics  Metrics
	clock    clock.Clock
	breaker  circuitbreaker.CircuitBreaker[any]
	executor failsafe.Executor[any]
}

// New makes the policy of one dependency.
func New(c Config) *Policy {
	c = c.withDefaults()
	handle := func(_ any, err error) bool { return c.Failed(err) }
	breaker := circuitbreaker.NewBuilder[any]().
		HandleIf(handle).
		WithFailureThresholdRatio(c.Failures, max(c.Window, c.Failures)).
		WithDelay(c.OpenFor).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) { c.Metrics.Breaker(c.Name, e.NewState.String()) }).
		Build()
	policies := []failsafe.Policy[any]{bulkhead.NewBuilder[any](c.Concurrency).WithMaxWaitTime(c.MaxWait).Build()}
	if c.Attempts > 1 {
		policies = append(policies, retrypolicy.NewBuilder[any]().
			HandleIf(func(_ any, err error) bool { return c.Failed(err) && !errors.Is(err, circuitbreaker.ErrOpen) }).
			WithMaxAttempts(c.Attempts).
			WithBackoff(c.Backoff, max(c.MaxBackoff, c.Backoff+1)).
			WithJitterFactor(0.25).
			ReturnLastFailure().
			Build())
	}
	policies = append(policies, breaker, timeout.New[any](c.Timeout))
	return &Policy{name: c.Name, failed: c.Failed, metrics: c.Metrics, clock: c.Clock, breaker: breaker, executor: failsafe.With(policies...)}
}

func (c Config) withDefaults() Config {
	defaulted(&c.Timeout, 10*time.Second)
	defaulted(&c.Attempts, 3)
	defaulted(&c.Backoff, 50*time.Millisecond)
	defaulted(&c.MaxBackoff, 2*time.Second)
	defaulted(&c.Concurrency, 64)
	defaulted(&c.Failures, 5)
	defaulted(&c.Window, 10)
	defaulted(&c.OpenFor, 5*time.Second)
	if c.Failed == nil {
		c.Failed = Failed
	}
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	if c.Metrics == nil {
		c.Metrics = silent{}
	}
	return c
}

func defaulted[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Failed says whether err is the dependency's failure rather than its answer: an error without a code, Internal, Unavailable,
// Timeout, Exhausted or Full. What the caller did wrong and the caller's giving up are not.
func Failed(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, timeout.ErrExceeded) {
		return true
	}
	switch fault.CodeOf(err) {
	case fault.CodeInternal, fault.CodeUnavailable, fault.CodeTimeout, fault.CodeExhausted, fault.CodeFull:
		return true
	default:
		return false
	}
}

// Do runs call under the policy. call may run several times, never two at once, and must end when its context does.
//
// Errors: Unavailable with RetryAfter when the breaker is open, Exhausted when the bulkhead is full, Timeout when the last attempt
// took too long, else what call returned last.
func (p *Policy) Do(ctx context.Context, call func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err //nolint:wrapcheck // the caller's own
	}
	started := p.clock.Now()
	err := p.executor.WithContext(ctx).
		RunWithExecution(func(e failsafe.Execution[any]) error {
			err := call(e.Context())
			if err != nil && ctx.Err() != nil {
				return givenUpError{err} // the caller's patience ended, whatever the call makes of it
			}
			return err
		})
	outcome := "ok"
	switch {
	case err == nil:
	case errors.Is(err, circuitbreaker.ErrOpen):
		outcome = "open"
		err = fault.Unavailable("%s is not answering", p.name).Retry(max(p.breaker.RemainingDelay(), time.Second)).With(err)
	case errors.Is(err, bulkhead.ErrFull):
		outcome = "full"
		err = fault.Exhausted("too many calls to %s at once", p.name).Retry(time.Second).With(err)
	case errors.Is(err, timeout.ErrExceeded):
		outcome = "failed"
		err = fault.Timeout("%s took longer than it may", p.name).With(err)
	case p.failed(err):
		outcome = "failed"
	default:
		outcome = "refused"
	}
	p.metrics.Called(p.name, outcome, p.clock.Now().Sub(started))
	return err
}

// Value is Do for a call that returns a value.
func Value[T any](ctx context.Context, p *Policy, call func(ctx context.Context) (T, error)) (T, error) {
	var value T
	err := p.Do(ctx, func(ctx context.Context) (err error) {
		value, err = call(ctx)
		return err
	})
	return value, err
}

// Open says whether the breaker refuses calls now.
func (p *Policy) Open() bool { return p.breaker.IsOpen() }

// givenUpError marks an error that came after the caller's context ended, so that it isn't counted or retried.
type givenUpError struct{ error }

func (g givenUpError) Unwrap() error { return g.error }

// As makes fault.CodeOf see a cancellation that the call reported in words of its own.
func (g givenUpError) As(target any) bool {
	if f, ok := target.(**fault.Error); ok {
		*f = fault.Canceled("the request was given up before it was answered").With(g.error)
		return true
	}
	return false
}

type silent struct{}

func (silent) Called(string, string, time.Duration) {}
func (silent) Breaker(string, string)               {}
