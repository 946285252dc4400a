// Package phi holds values about patients that must not reach a log, an error, a metric or a trace by accident.
package phi

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Text is a string that prints itself redacted, in fmt, slog and encoding/json alike.
type Text struct{ value string }

// Of hides s.
func Of(s string) Text { return Text{value: s} }

// Reveal is the text itself, for the place that needs it: a query's argument, a message to the patient.
func (t Text) Reveal() string { return t.value }

// IsEmpty says whether there is no text.
func (t Text) IsEmpty() bool { return t.value == "" }

// String is "[redacted]".
func (t Text) String() string { return redacted }

// GoString is "[redacted]".
func (t Text) GoString() string { return redacted }

// Format writes "[redacted]" for every verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is "[redacted]".
func (t Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is "[redacted]".
func (t Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }
