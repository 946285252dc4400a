package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"ward/internal/base/fault"
)

func TestCode_StatusTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range fault.Codes() {
		if c.Status() < 400 && c != fault.CodeElsewhere || http.StatusText(c.Status()) == "" {
			t.Errorf("%v has status %d", c, c.Status())
		}
		if c.String() == "" || seen[c.String()] {
			t.Errorf("code %d has the name %q, empty or taken", c, c)
		}
		seen[c.String()] = true
	}
	if got := fault.Code(200).Status(); got != 500 {
		t.Errorf("unknown code has status %d", got)
	}
}

func TestError_ChainKeepsCodeMessageAndCause(t *testing.T) {
	t.Parallel()
	update := func() (err error) {
		defer fault.Op(&err, "records.Update", "Patient", "p1")
		return fault.Conflict("somebody else was first").With(io.ErrUnexpectedEOF).Retry(time.Second)
	}
	err := fmt.Errorf("outer: %w", update())
	if fault.CodeOf(err) != fault.CodeConflict || !fault.Is(err, fault.CodeConflict) {
		t.Errorf("code %v", fault.CodeOf(err))
	}
	if fault.Message(err) != "somebody else was first" {
		t.Errorf("message %q", fault.Message(err))
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, fault.Conflict("somebody else was first")) {
		t.Error("errors.Is does not see the cause or the fault")
	}
	if fault.RetryAfter(err) != time.Second {
		t.Errorf("retry after %v", fault.RetryAfter(err))
	}
	want := "outer: records.Update(Patient, p1): conflict: somebody else was first: unexpected EOF"
	if err.Error() != want {
		t.Errorf("text\n got %s\nwant %s", err, want)
	}
}

func TestMessage_OfUncodedErrorsIsNotShown(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err  error
		code fault.Code
		text string
	}{
		"plain":    {errors.New("secret"), fault.CodeInternal, "internal error"},
		"internal": {fault.Internal("secret %d", 1), fault.CodeInternal, "internal error"},
		"deadline": {fmt.Errorf("x: %w", context.DeadlineExceeded), fault.CodeTimeout, "the request took longer than it may"},
		"canceled": {context.Canceled, fault.CodeCanceled, "the request was given up before it was answered"},
		"coded":    {fault.NotFound("no such Patient"), fault.CodeNotFound, "no such Patient"},
	} {
		if fault.CodeOf(row.err) != row.code || fault.Message(row.err) != row.text {
			t.Errorf("%s: %v %q", name, fault.CodeOf(row.err), fault.Message(row.err))
		}
	}
	if fault.Is(nil, fault.CodeInternal) {
		t.Error("nil has a code")
	}
}

func TestError_CopiesWhenChanged(t *testing.T) {
	t.Parallel()
	base := fault.Invalid("bad")
	_ = base.With(io.EOF).Detail(fault.Detail{Message: "a"}, fault.Detail{Message: "b"})
	if base.Cause != nil || base.Details != nil {
		t.Error("With or Detail changed the fault it was called on")
	}
	if got := fault.Details(base.Detail(fault.Detail{Message: "a"}).Detail(fault.Detail{Message: "b"})); len(got) != 2 {
		t.Errorf("details %v", got)
	}
}
