package fhir

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
)

// IssueType is the code of OperationOutcome.issue.code for a fault (valueset-issue-type.html).
func IssueType(code fault.Code) string {
	switch code {
	case fault.CodeInvalid:
		return "invalid"
	case fault.CodeUnauthenticated:
		return "login"
	case fault.CodeDenied:
		return "forbidden"
	case fault.CodeTooCostly:
		return "too-costly"
	case fault.CodeNotFound:
		return "not-found"
	case fault.CodeConflict, fault.CodePrecondition:
		return "conflict"
	case fault.CodeGone:
		return "deleted"
	case fault.CodeTooLarge, fault.CodeTooLong, fault.CodeHeaderTooLarge:
		return "too-long"
	case fault.CodeMethodNotAllowed, fault.CodeNotAcceptable, fault.CodeUnsupported, fault.CodeNotImplemented:
		return "not-supported"
	case fault.CodeUnprocessable:
		return "processing"
	case fault.CodeExhausted:
		return "throttled"
	case fault.CodeUnavailable, fault.CodeCanceled:
		return "transient"
	case fault.CodeTimeout:
		return "timeout"
	case fault.CodeFull:
		return "no-store"
	case fault.CodeElsewhere:
		return "business-rule"
	case fault.CodeInternal:
	}
	return "exception"
}

// AppendOutcome appends the OperationOutcome of an error: one issue for each detail of its fault, and its message when no
// detail is an error itself. Errors without a code say "internal error" and nothing more.
func AppendOutcome(dst []byte, err error) []byte {
	var details []fault.Detail
	if f, ok := fault.Of(err); ok && f.Code != fault.CodeInternal {
		details = f.Details
	}
	told := false
	for _, d := range details {
		told = told || d.Severity == "" || d.Severity == "error" || d.Severity == "fatal"
	}
	if !told {
		severity := "error"
		code := fault.CodeOf(err)
		if code == fault.CodeInternal {
			severity = "fatal"
		}
		details = append([]fault.Detail{{Severity: severity, Kind: IssueType(code), Message: fault.Message(err)}}, details...)
	}
	return AppendIssues(dst, details...)
}

// AppendIssues appends an OperationOutcome with these issues. An empty Severity is "error", an empty Kind "invalid". Without
// any issue it says that all is well.
func AppendIssues(dst []byte, issues ...fault.Detail) []byte {
	if len(issues) == 0 {
		issues = []fault.Detail{{Severity: "information", Kind: "informational", Message: "All OK"}}
	}
	dst = append(dst, `{"resourceType":"OperationOutcome","issue":[`...)
	for i := range issues {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendIssue(dst, &issues[i])
	}
	return append(dst, ']', '}')
}

func appendIssue(dst []byte, d *fault.Detail) []byte {
	severity, kind := d.Severity, d.Kind
	if severity == "" {
		severity = "error"
	}
	if kind == "" {
		kind = "invalid"
	}
	dst = append(dst, '{')
	if d.Line > 0 {
		dst = append(dst, `"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line","valueInteger":`...)
		dst = strconv.AppendInt(dst, int64(d.Line), 10)
		dst = append(dst, `},{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col","valueInteger":`...)
		dst = strconv.AppendInt(dst, int64(max(d.Column, 1)), 10)
		dst = append(dst, `}],`...)
	}
	dst = jsontape.AppendQuoted(append(dst, `"severity":`...), severity)
	dst = jsontape.AppendQuoted(append(dst, `,"code":`...), kind)
	if d.Message != "" {
		dst = jsontape.AppendQuoted(append(dst, `,"details":{"text":`...), d.Message)
		diagnostics := d.Message
		if d.Line > 0 {
			diagnostics += " (" + place(d) + ")"
		}
		dst = jsontape.AppendQuoted(append(dst, `},"diagnostics":`...), diagnostics)
	}
	if d.Line > 0 {
		dst = jsontape.AppendQuoted(append(dst, `,"location":[`...), place(d))
		dst = append(dst, ']')
	}
	if d.Expression != "" {
		dst = jsontape.AppendQuoted(append(dst, `,"expression":[`...), d.Expression)
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func place(d *fault.Detail) string {
	return "line " + strconv.Itoa(d.Line) + ", column " + strconv.Itoa(max(d.Column, 1))
}

// WriteOutcome answers a request with the status and the OperationOutcome of an error, and Retry-After when it says so.
func WriteOutcome(w http.ResponseWriter, err error) {
	body := AppendOutcome(make([]byte, 0, 512), err)
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if after := fault.RetryAfter(err); after > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((after+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(fault.CodeOf(err).Status())
	_, _ = w.Write(body)
}

// Parse reads a body that must be one JSON object with a resourceType, and gives that type; the type is not looked up.
// Errors are fault.Invalid with the line and column.
func Parse(doc *jsontape.Doc, body []byte) (resourceType string, err error) {
	if err := doc.Parse(body); err != nil {
		return "", SyntaxFault(err)
	}
	root := doc.Root()
	if k := doc.Kind(root); k != jsontape.Object {
		return "", fault.Invalid("the body is not a resource").Detail(fault.Detail{
			Severity: "fatal", Kind: "structure", Message: "a resource is a JSON object, found " + k.String(), Line: 1, Column: 1,
		})
	}
	n := doc.Get(root, "resourceType")
	if n < 0 {
		return "", fault.Invalid("the body is not a resource").Detail(fault.Detail{
			Severity: "fatal", Kind: "structure", Message: "the resource has no resourceType", Line: 1, Column: 1,
		})
	}
	if doc.Kind(n) != jsontape.String || len(doc.Bytes(n)) == 0 {
		line, column := doc.Position(n)
		return "", fault.Invalid("the body is not a resource").Detail(fault.Detail{
			Severity: "fatal", Kind: "structure", Message: "resourceType must be a string with the name of a type", Line: line, Column: column,
		})
	}
	return doc.Text(n), nil
}

// SyntaxFault makes a fault of what jsontape's Parse returned.
func SyntaxFault(err error) *fault.Error {
	var syntax *jsontape.SyntaxError
	if !errors.As(err, &syntax) {
		return fault.Invalid("the body is not valid JSON").With(err)
	}
	return fault.Invalid("the body is not valid JSON").With(syntax).Detail(fault.Detail{
		Severity: "fatal", Kind: "structure", Message: "not valid JSON: " + syntax.Message, Line: syntax.Line, Column: syntax.Column,
	})
}
