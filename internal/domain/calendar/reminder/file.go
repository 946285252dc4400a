package reminder

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/scope"
)

// FileOutbox is a Sender that puts each message into a file of its own, <folder>/<tenant>/<message id>.json, for whatever brings them to people.
// The name keeps a message from being there twice.
type FileOutbox struct{ Folder string }

// Send writes the file, unless it is there. Errors: Internal when it can't be written.
func (o FileOutbox) Send(ctx context.Context, m Message) error {
	sc, ok := scope.From(ctx)
	if !ok || !id.Valid(m.ID) {
		return fault.Internal("a message needs a tenant and an id")
	}
	folder := filepath.Join(o.Folder, strconv.Itoa(int(sc.Tenant.ID)))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fault.Internal("the folder of messages can't be made").With(err)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fault.Internal("a message can't be written").With(err)
	}
	f, err := os.CreateTemp(folder, ".message-*")
	if err != nil {
		return fault.Internal("a message can't be written").With(err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		// A link is made once: whoever finds one there has been sent before.
		if err = os.Link(f.Name(), filepath.Join(folder, m.ID+".json")); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return fault.Internal("a message can't be written").With(err)
	}
	return nil
}
