package tenancy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"ward/internal/base/fault"
)

// Settings are what a tenant decides for itself. The zero value is the default.
type Settings struct {
	// ReferentialIntegrity refuses writes that refer to a resource which is not there, and deletes of one that is referred to.
	ReferentialIntegrity bool `json:"referentialIntegrity"`
}

// ParseSettings reads settings from JSON; what is absent has its default. It returns fault.Invalid naming an unknown
// setting or a wrong value.
func ParseSettings(text string) (Settings, error) {
	var s Settings
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&s)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one JSON value")
		}
	}
	if err != nil {
		return s, fault.Invalid("the settings can't be read (%s): they are one JSON object with %s", err.Error(), known())
	}
	return s, nil
}

// JSON is what ParseSettings reads.
func (s Settings) JSON() string {
	b, err := json.Marshal(s)
	if err != nil {
		return "{}"
	}
	return string(b)
}

func known() string {
	var names []string
	d := json.NewDecoder(bytes.NewReader([]byte(Settings{}.JSON())))
	for key := false; ; key = !key {
		token, err := d.Token()
		if err != nil {
			break
		}
		if name, ok := token.(string); ok && key {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
