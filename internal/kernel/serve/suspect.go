package serve

import (
	"context"
	"errors"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/audit"
)

// Audit hears of requests that were refused for a reason that an attack would have: an *audit.Log.
type Audit interface {
	Security(ctx context.Context, kind audit.Kind, detail string)
}

// suspicion is an error that may be an attack's.
type suspicion struct {
	error
	kind audit.Kind
}

func (s suspicion) Unwrap() error { return s.error }

func suspicious(kind audit.Kind, err error) error { return suspicion{err, kind} }

// suspiciousIf marks a token or a session that is not good, unless the error says more.
func suspiciousIf(kind audit.Kind, err error) error {
	if fault.Is(err, fault.CodeUnauthenticated) {
		return suspicious(kind, err)
	}
	return err
}

// kindOf is what a request is suspected of that the guard refused.
func kindOf(err error) audit.Kind {
	switch fault.CodeOf(err) { //nolint:exhaustive // the others are about the path
	case fault.CodeTooLong, fault.CodeHeaderTooLarge:
		return audit.TooMuch
	}
	return audit.MalformedPath
}

// tooDeep says whether a body was refused because it is nested deeper than is read.
func tooDeep(err error) bool {
	syntax, ok := errors.AsType[*jsontape.SyntaxError](err)
	return ok && syntax.Deep
}

// suspect takes note of a refusal. That nobody is signed in is none.
func (s *Server) suspect(ctx context.Context, rt *route, sc scope.Scope, err error) {
	if s.deps.Audit == nil {
		return
	}
	var kind audit.Kind
	var marked suspicion
	switch {
	case errors.As(err, &marked):
		kind = marked.kind
	case fault.Is(err, fault.CodeDenied) && sc.Principal.ID != "":
		kind = audit.Denied
	case fault.Is(err, fault.CodeTooLarge), tooDeep(err):
		kind = audit.TooMuch
	default:
		return
	}
	if sc.Tenant.ID > 0 {
		sc.System = false
	}
	s.deps.Audit.Security(scope.With(ctx, sc), kind, rt.spanName)
}
