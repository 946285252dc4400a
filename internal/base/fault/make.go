package fault

// Internal is the fault for a bug or a broken machine (500); the message is only logged.
func Internal(format string, args ...any) *Error {
	return New(CodeInternal, format, args...)
}

// Invalid is the fault for a request that can't be understood (400).
func Invalid(format string, args ...any) *Error {
	return New(CodeInvalid, format, args...)
}

// Unauthenticated is the fault for a missing token or one that is no longer good (401).
func Unauthenticated(format string, args ...any) *Error {
	return New(CodeUnauthenticated, format, args...)
}

// Denied is the fault for something that the caller may not do (403).
func Denied(format string, args ...any) *Error {
	return New(CodeDenied, format, args...)
}

// TooCostly is the fault for an answer that would take more than the caller may use (403).
func TooCostly(format string, args ...any) *Error {
	return New(CodeTooCostly, format, args...)
}

// NotFound is the fault for something that was never there, or not for this caller (404).
func NotFound(format string, args ...any) *Error {
	return New(CodeNotFound, format, args...)
}

// MethodNotAllowed is the fault for a path that exists without that method (405).
func MethodNotAllowed(format string, args ...any) *Error {
	return New(CodeMethodNotAllowed, format, args...)
}

// NotAcceptable is the fault for no representation that the caller accepts (406).
func NotAcceptable(format string, args ...any) *Error {
	return New(CodeNotAcceptable, format, args...)
}

// Conflict is the fault for somebody else having been first (409).
func Conflict(format string, args ...any) *Error {
	return New(CodeConflict, format, args...)
}

// Gone is the fault for something that has been deleted (410).
func Gone(format string, args ...any) *Error {
	return New(CodeGone, format, args...)
}

// Precondition is the fault for a condition such as If-Match that does not hold (412).
func Precondition(format string, args ...any) *Error {
	return New(CodePrecondition, format, args...)
}

// TooLarge is the fault for a body larger than the route takes (413).
func TooLarge(format string, args ...any) *Error {
	return New(CodeTooLarge, format, args...)
}

// TooLong is the fault for a URL longer than the server takes (414).
func TooLong(format string, args ...any) *Error {
	return New(CodeTooLong, format, args...)
}

// HeaderTooLarge is the fault for a header larger than the server takes (431).
func HeaderTooLarge(format string, args ...any) *Error {
	return New(CodeHeaderTooLarge, format, args...)
}

// Unsupported is the fault for a media type that is not understood (415).
func Unsupported(format string, args ...any) *Error {
	return New(CodeUnsupported, format, args...)
}

// Unprocessable is the fault for a request that is understood and breaks a rule (422).
func Unprocessable(format string, args ...any) *Error {
	return New(CodeUnprocessable, format, args...)
}

// Exhausted is the fault for a share that is used up (429); add when with Retry.
func Exhausted(format string, args ...any) *Error {
	return New(CodeExhausted, format, args...)
}

// NotImplemented is the fault for something known that is not offered (501).
func NotImplemented(format string, args ...any) *Error {
	return New(CodeNotImplemented, format, args...)
}

// Unavailable is the fault for a part that is down (503); add when with Retry.
func Unavailable(format string, args ...any) *Error {
	return New(CodeUnavailable, format, args...)
}

// Timeout is the fault for something that took longer than it may (503).
func Timeout(format string, args ...any) *Error {
	return New(CodeTimeout, format, args...)
}

// Canceled is the fault for a request that was given up (503).
func Canceled(format string, args ...any) *Error {
	return New(CodeCanceled, format, args...)
}

// Full is the fault for no room to store it (507).
func Full(format string, args ...any) *Error {
	return New(CodeFull, format, args...)
}
