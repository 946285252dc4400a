package phi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"ward/internal/base/phi"
)

func TestText_NeverPrintsItself(t *testing.T) {
	t.Parallel()
	name := phi.Of("Chalmers")
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "name", name, "err", fmt.Errorf("bad name %v", name)) //nolint:sloglint // the point of the test
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, name)
		fmt.Fprintf(&out, verb, struct{ Name phi.Text }{name})
	}
	b, err := json.Marshal(map[string]any{"name": name})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	out.WriteString(errors.New(fmt.Sprint(name)).Error())
	if got := out.String(); strings.Contains(got, "Chalmers") || strings.Contains(got, "4368616c6d657273") {
		t.Errorf("printed: %s", got)
	}
	if name.Reveal() != "Chalmers" || name.IsEmpty() {
		t.Error("the text is gone")
	}
}
