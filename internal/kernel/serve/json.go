package serve

import (
	"encoding/json"
	"net/http"

	"ward/internal/base/fault"
)

// SendJSON answers with a value as JSON.
func SendJSON(w http.ResponseWriter, status int, value any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(value)
}

// TakeJSON reads a request's body, a JSON object, and nothing that into does not know. It returns fault.Invalid, or the fault of the body's limit.
func TakeJSON(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if _, coded := fault.Of(err); coded {
			return err
		}
		return fault.Invalid("the body must be a JSON object with the members that this address takes")
	}
	return nil
}
