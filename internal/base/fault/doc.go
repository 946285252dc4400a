// Package fault holds the errors that Ward's parts return to each other: a code that says what kind of
// failure it is, a message that is safe to show to the caller, details that point into the caller's
// input, and a cause that is only logged.
//
// One table turns codes into HTTP statuses ([Code.Status]); the formats own the tables for their wire
// (FHIR OperationOutcome, HL7 acknowledgements). An error that carries no code is [CodeInternal], and its text
// is never shown: [Message] answers "internal error" for it.
//
// No patient data goes into a message, a detail or an operation's arguments: names of fields, types, positions
// and resource ids only.
package fault
