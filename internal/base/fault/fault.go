package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Error is a failure with a code. Make one with the constructor of its code.
type Error struct {
	Code       Code
	Message    string        // safe to show: no patient data
	Details    []Detail      // every problem found, in the order of the input
	Cause      error         // only logged
	RetryAfter time.Duration // when trying again makes sense; 0 says nothing
}

// Detail is one problem in the caller's input.
type Detail struct {
	Severity   string // "fatal", "error", "warning" or "information"
	Kind       string // FHIR issue type, such as "required", "value" or "structure"
	Expression string // FHIRPath of the element, such as "Patient.name[0].family"; empty when there is none
	Message    string
	Line       int // from 1; 0 when not known
	Column     int // from 1, in bytes; 0 when not known
}

// Error gives the code, the message and, for logs, the cause. Show [Message] to callers instead.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Code.String() + ": " + e.Message
	}
	return e.Code.String() + ": " + e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Is makes two faults equal for errors.Is when they have the same code and message.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error) // this link of the chain only
	return ok && t.Code == e.Code && t.Message == e.Message
}

// With is a copy of e that carries the cause.
func (e *Error) With(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// Detail is a copy of e with the details added.
func (e *Error) Detail(details ...Detail) *Error {
	c := *e
	c.Details = append(append(make([]Detail, 0, len(e.Details)+len(details)), e.Details...), details...)
	return &c
}

// Retry is a copy of e that tells the caller when to try again.
func (e *Error) Retry(after time.Duration) *Error {
	c := *e
	c.RetryAfter = after
	return &c
}

// New makes a fault of any code.
func New(code Code, format string, args ...any) *Error {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	return &Error{Code: code, Message: message}
}

// Of finds the first fault in err's chain.
func Of(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// CodeOf is the code of err: of the first fault in its chain, [CodeTimeout] or [CodeCanceled] for a context's end, else [CodeInternal].
// It must not be asked of nil.
func CodeOf(err error) Code {
	if e, ok := Of(err); ok {
		return e.Code
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return CodeTimeout
	case errors.Is(err, context.Canceled):
		return CodeCanceled
	default:
		return CodeInternal
	}
}

// Is says whether err has the code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }

// Message is what the caller may see of err. The text of internal errors and of errors without a code is not shown.
func Message(err error) string {
	if e, ok := Of(err); ok && e.Code != CodeInternal {
		return e.Message
	}
	switch CodeOf(err) {
	case CodeTimeout:
		return "the request took longer than it may"
	case CodeCanceled:
		return "the request was given up before it was answered"
	default:
		return "internal error"
	}
}

// Details are the problems that err lists, nil when it lists none.
func Details(err error) []Detail {
	if e, ok := Of(err); ok {
		return e.Details
	}
	return nil
}

// RetryAfter is when the caller may try again, 0 when err says nothing about it.
func RetryAfter(err error) time.Duration {
	if e, ok := Of(err); ok {
		return e.RetryAfter
	}
	return 0
}

// Op adds the operation's name and the ids it worked on to *err, for logs. Use it deferred:
//
//	defer fault.Op(&err, "records.Update", id)
//
// The arguments are ids and type names only, never content. Code, message and details stay as they are.
func Op(err *error, name string, args ...any) {
	if *err != nil {
		*err = &opError{name: name, args: args, err: *err}
	}
}

type opError struct {
	name string
	args []any
	err  error
}

func (e *opError) Error() string {
	var b strings.Builder
	b.WriteString(e.name)
	b.WriteByte('(')
	for i, a := range e.args {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, a)
	}
	b.WriteString("): ")
	b.WriteString(e.err.Error())
	return b.String()
}

func (e *opError) Unwrap() error { return e.err }
