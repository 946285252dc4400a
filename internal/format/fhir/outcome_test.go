package fhir_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

func TestAppendOutcome(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		err  error
		want string
	}{
		{"message", fault.NotFound("Patient/%s is not known", "1"), `[{"severity":"error","code":"not-found","details":{"text":"Patient/1 is not known"},"diagnostics":"Patient/1 is not known"}]`},
		{"no code says nothing", errors.New("secret"), `[{"severity":"fatal","code":"exception","details":{"text":"internal error"},"diagnostics":"internal error"}]`},
		{"internal says nothing", fault.Internal("secret"), `[{"severity":"fatal","code":"exception","details":{"text":"internal error"},"diagnostics":"internal error"}]`},
		{
			"details instead of the message", fault.Unprocessable("invalid").Detail(
				fault.Detail{Severity: "error", Kind: "required", Expression: "Patient.name[0].family", Message: "is \"needed\"", Line: 3, Column: 14},
				fault.Detail{Message: "plain"}),
			`[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line","valueInteger":3},{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col","valueInteger":14}],"severity":"error","code":"required","details":{"text":"is \"needed\""},"diagnostics":"is \"needed\" (line 3, column 14)","location":["line 3, column 14"],"expression":["Patient.name[0].family"]},{"severity":"error","code":"invalid","details":{"text":"plain"},"diagnostics":"plain"}]`,
		},
		{
			"only warnings: the message is the error", fault.Conflict("no").Detail(fault.Detail{Severity: "warning", Kind: "value", Message: "w"}),
			`[{"severity":"error","code":"conflict","details":{"text":"no"},"diagnostics":"no"},{"severity":"warning","code":"value","details":{"text":"w"},"diagnostics":"w"}]`,
		},
	} {
		want := `{"resourceType":"OperationOutcome","issue":` + row.want + `}`
		if got := string(fhir.AppendOutcome(nil, row.err)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", row.name, got, want)
		}
	}
}

// TestIssueType_EveryCode holds that each code has an issue type of its own table, not the fallback.
func TestIssueType_EveryCode(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		if got := fhir.IssueType(code); (got == "exception") != (code == fault.CodeInternal) {
			t.Errorf("%v is %q", code, got)
		}
	}
}

func TestAppendIssues_None(t *testing.T) {
	t.Parallel()
	want := `{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","details":{"text":"All OK"},"diagnostics":"All OK"}]}`
	if got := string(fhir.AppendIssues(nil)); got != want {
		t.Errorf("got %s", got)
	}
}

func TestWriteOutcome(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	fhir.WriteOutcome(w, fault.Unavailable("the database is away").Retry(1500*time.Millisecond))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "2" || w.Header().Get("Content-Type") != fhir.ContentType {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if !strings.Contains(w.Body.String(), `"code":"transient"`) {
		t.Errorf("body %s", w.Body)
	}
}

func TestParse_SaysWhereAndWhat(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ body, message, place string }{
		{"{\n \"a\" 1}", "not valid JSON: expected ':' after a key, found a digit", "line 2, column 6"},
		{"[1]", "a resource is a JSON object, found an array", "line 1, column 1"},
		{"{}", "the resource has no resourceType", "line 1, column 1"},
		{`{"resourceType":1}`, "resourceType must be a string with the name of a type", "line 1, column 17"},
		{`{"resourceType":[]}`, "resourceType must be a string with the name of a type", "line 1, column 17"},
		{`{"resourceType":""}`, "resourceType must be a string with the name of a type", "line 1, column 17"},
	} {
		var d jsontape.Doc
		_, err := fhir.Parse(&d, []byte(row.body))
		got := string(fhir.AppendOutcome(nil, err))
		if !fault.Is(err, fault.CodeInvalid) || !strings.Contains(got, `"text":"`+row.message+`"`) || !strings.Contains(got, row.place) {
			t.Errorf("%s: %s", row.body, got)
		}
	}
	var d jsontape.Doc
	if name, err := fhir.Parse(&d, []byte(`{"id":"1","resourceType":"Patient"}`)); name != "Patient" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
}
