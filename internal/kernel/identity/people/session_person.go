package people

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// Person is the person with the id, as they are now. It returns fault.NotFound when there is none.
func (s *Sessions) Person(ctx context.Context, personID string) (who Person, err error) {
	defer fault.Op(&err, "people.Person", personID)
	found := false
	err = s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		found = false
		return q.Query(ctx, "SELECT "+personColumns+" FROM identity_person p WHERE p.id = $1", func(r db.Row) error {
			who, found = scanPerson(r, 0), true
			return nil
		}, personID)
	})
	if err == nil && !found {
		err = fault.NotFound("there is no such person")
	}
	return who, err
}
