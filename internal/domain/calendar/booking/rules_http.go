package booking

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/availability"
	"ward/internal/kernel/access"
)

func sendJSON(w http.ResponseWriter, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fault.Internal("an answer can't be written").With(err)
	}
	return send(w, "application/json", body)
}

// keyOf is the id in the path.
func keyOf(r *http.Request, most int) (string, error) {
	id := r.PathValue("id")
	if !availability.ValidKey(id, most) {
		return "", errKey(most)
	}
	return id, nil
}

func errKey(most int) error {
	return fault.Invalid("an id here has 1 to %d letters, digits and -", most)
}

// told is what somebody may know of rules: why somebody is away is not for patients.
func told(ctx context.Context, a *availability.Availability) *availability.Availability {
	sc, _ := scope.From(ctx)
	if role := sc.Principal.Role; role != access.Patient && role != access.Proxy {
		return a
	}
	shown := *a
	shown.TimeOff = nil
	return &shown
}

func (b *Service) handleAvailabilities(w http.ResponseWriter, r *http.Request) error {
	if err := mayRead(r.Context()); err != nil {
		return err
	}
	var list []*availability.Availability
	err := b.deps.DB.Read(r.Context(), func(ctx context.Context, q db.Querier) (err error) {
		list, err = b.allAvailabilities(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	if list == nil {
		list = []*availability.Availability{}
	}
	for i, a := range list {
		list[i] = told(r.Context(), a)
	}
	return sendJSON(w, map[string]any{"availability": list})
}

func (b *Service) handleAvailability(w http.ResponseWriter, r *http.Request) error {
	id, err := keyOf(r, availability.MaxID)
	if err != nil {
		return err
	}
	if err := mayRead(r.Context()); err != nil {
		return err
	}
	var a *availability.Availability
	if err := b.deps.DB.Read(r.Context(), func(ctx context.Context, q db.Querier) (err error) {
		a, err = b.availability(ctx, q, id)
		return err
	}); err != nil {
		return err
	}
	return sendJSON(w, told(r.Context(), a))
}

func (b *Service) handlePutAvailability(w http.ResponseWriter, r *http.Request) error {
	id, err := keyOf(r, availability.MaxID)
	if err != nil {
		return err
	}
	body, err := readAll(r)
	if err != nil {
		return err
	}
	created, err := b.putAvailability(r.Context(), id, body)
	if err != nil {
		return err
	}
	if created {
		w.WriteHeader(http.StatusCreated)
	} else {
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

func (b *Service) handleDropAvailability(w http.ResponseWriter, r *http.Request) error {
	id, err := keyOf(r, availability.MaxID)
	if err != nil {
		return err
	}
	if err := b.dropAvailability(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *Service) handleServices(w http.ResponseWriter, r *http.Request) error {
	if err := mayRead(r.Context()); err != nil {
		return err
	}
	list := []*availability.Service{}
	err := b.deps.DB.Read(r.Context(), func(ctx context.Context, q db.Querier) error {
		list = list[:0]
		return q.Query(ctx, `SELECT id, version, body FROM calendar_service ORDER BY id`, func(row db.Row) error {
			id := row.Text(0)
			s, err := parsed(ctx, &b.known, ofService, id, row.Int64(1), row.Bytes(2), func(s *availability.Service) error {
				s.ID = id
				return s.Check()
			})
			list = append(list, s)
			return err
		})
	})
	if err != nil {
		return err
	}
	return sendJSON(w, map[string]any{"services": list})
}

func (b *Service) handlePutService(w http.ResponseWriter, r *http.Request) error {
	id, err := keyOf(r, availability.MaxServiceID)
	if err != nil {
		return err
	}
	body, err := readAll(r)
	if err != nil {
		return err
	}
	if err := b.putService(r.Context(), id, body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *Service) handleDropService(w http.ResponseWriter, r *http.Request) error {
	id, err := keyOf(r, availability.MaxServiceID)
	if err != nil {
		return err
	}
	defer b.fresh.forget()
	err = b.deps.DB.Write(r.Context(), func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM calendar_service WHERE id = $1`, id)
		if err == nil && n == 0 {
			err = fault.NotFound("there is no such service")
		}
		return err
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *Service) handleLapses(w http.ResponseWriter, r *http.Request) error {
	list, checked, err := b.Lapses(r.Context())
	if err == nil {
		list, err = b.seenLapses(r.Context(), list)
	}
	if err != nil {
		return err
	}
	if list == nil {
		list = []Lapse{}
	}
	answer := map[string]any{"lapses": list}
	if !checked.IsZero() {
		answer["checked"] = checked.Format(time.RFC3339)
	}
	return sendJSON(w, answer)
}
