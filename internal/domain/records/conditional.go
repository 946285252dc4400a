package records

import (
	"context"
	"net/http"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// create makes a resource under a new id, unless If-None-Exist finds one (FHIR R4 http.html#create, #ccreate).
func (s *Service) create(ctx context.Context, in *interaction) (answer, error) {
	c, err := s.prepare(ctx, in.typ, "", OpCreate, in.body)
	if err != nil {
		return answer{}, err
	}
	if in.ifNoneExist == "" {
		if err := s.commit(ctx, c); err != nil {
			return answer{}, err
		}
		return written(c), nil
	}
	done, existing, err := s.conditionally(ctx, in.typ, in.ifNoneExist, func(found []*Version) (*Change, error) {
		if len(found) == 0 {
			return c, nil
		}
		return nil, nil //nolint:nilnil // nothing is to be written
	})
	switch {
	case err != nil:
		return answer{}, err
	case done == nil:
		return existed(existing), nil
	}
	return written(done), nil
}

// update replaces a resource, or makes it under the id that the client chose (FHIR R4 http.html#update, #cond-update).
func (s *Service) update(ctx context.Context, in *interaction) (answer, error) {
	match, absent, err := in.conditions()
	if err != nil {
		return answer{}, err
	}
	if in.id != "" {
		c, err := s.prepareUpdate(ctx, in.typ, in.id, in.body)
		if err != nil {
			return answer{}, err
		}
		c.IfMatch, c.MustNotExist = match, absent
		if err := s.commit(ctx, c); err != nil {
			return answer{}, err
		}
		return written(c), nil
	}
	if in.query == "" {
		return answer{}, fault.Invalid("an update names its resource, PUT [base]/%s/[id], or says how to find it, PUT [base]/%s?[criteria]", in.typ, in.typ)
	}
	c, _, err := s.conditionally(ctx, in.typ, in.query, func(found []*Version) (*Change, error) {
		c, err := s.prepareFound(ctx, in.typ, in.body, found)
		if err == nil {
			c.IfMatch, c.MustNotExist = match, absent
		}
		return c, err
	})
	if err != nil {
		return answer{}, err
	}
	return written(c), nil
}

// prepareUpdate prepares the new content of a resource whose id the URL gives.
func (s *Service) prepareUpdate(ctx context.Context, typ, resourceID string, body []byte) (*Change, error) {
	c, err := s.prepare(ctx, typ, resourceID, OpUpdate, body)
	if err != nil {
		return nil, err
	}
	return c, sameID(c, resourceID)
}

// sameID demands that the content carries the id that the URL gives (FHIR R4 http.html#update).
func sameID(c *Change, resourceID string) error {
	stated := c.doc.Get(c.doc.Root(), "id")
	switch {
	case stated == jsontape.Invalid:
		return fault.Invalid("the resource has no id; an update's body repeats the id of the URL").
			Detail(fault.Detail{Severity: "error", Kind: "required", Expression: c.Type + ".id", Message: "the body must repeat the id of the URL"})
	case string(c.doc.Bytes(stated)) != resourceID:
		return fault.Invalid("the resource's id is not the one in the URL").
			Detail(fault.Detail{Severity: "error", Kind: "value", Expression: c.Type + ".id", Message: "the id must be the one in the URL"})
	}
	return nil
}

// prepareFound prepares a conditional update for what its criteria found: one resource or none.
func (s *Service) prepareFound(ctx context.Context, typ string, body []byte, found []*Version) (*Change, error) {
	if len(found) == 1 {
		c, err := s.prepare(ctx, typ, found[0].ID, OpUpdate, body)
		if err != nil {
			return nil, err
		}
		if c.doc.Get(c.doc.Root(), "id") == jsontape.Invalid {
			return c, nil
		}
		return c, sameID(c, found[0].ID)
	}
	doc := new(jsontape.Doc)
	if err := s.parseResource(doc, body); err != nil {
		return nil, err
	}
	stated := doc.Text(doc.Get(doc.Root(), "id"))
	if stated == "" {
		return s.prepare(ctx, typ, "", OpCreate, body)
	}
	if !id.Valid(stated) {
		return nil, errID()
	}
	return s.prepare(ctx, typ, stated, OpUpdate, body)
}

// remove deletes a resource. That there is none is no error (FHIR R4 http.html#delete).
func (s *Service) remove(ctx context.Context, in *interaction) (answer, error) {
	match, _, err := in.conditions()
	if err != nil {
		return answer{}, err
	}
	var c *Change
	if in.id != "" {
		if c, err = s.prepare(ctx, in.typ, in.id, OpDelete, nil); err != nil {
			return answer{}, err
		}
		c.IfMatch = match
		err = s.commit(ctx, c)
	} else {
		if in.query == "" {
			return answer{}, errDeleteAll(in.typ)
		}
		c, _, err = s.conditionally(ctx, in.typ, in.query, func(found []*Version) (*Change, error) {
			if len(found) == 0 {
				return nil, nil //nolint:nilnil // nothing is to be written
			}
			c, err := s.prepare(ctx, in.typ, found[0].ID, OpDelete, nil)
			if err == nil {
				c.IfMatch = match
			}
			return c, err
		})
	}
	if err != nil {
		return answer{}, err
	}
	return removed(c), nil
}

func errDeleteAll(typ string) error {
	return fault.Invalid("a deletion names its resource, DELETE [base]/%s/[id], or says how to find it, DELETE [base]/%s?[criteria]", typ, typ)
}

// conditionally finds what the criteria match and makes the change that plan answers with; a nil change makes none, and
// the one resource found is given back. Conditional writes to one type of one tenant wait for each other, so that what
// was found still holds when the change is made. plan may be called twice.
//
// Errors: Precondition when the criteria match more than one resource, Invalid for criteria that any resource meets.
func (s *Service) conditionally(ctx context.Context, typ, criteria string, plan func(found []*Version) (*Change, error)) (done *Change, existing *Version, err error) {
	if err := mayAtAll(access.Of(ctx), typ, access.Search); err != nil {
		return nil, nil, err
	}
	if err := s.requireFilter(ctx, typ, criteria); err != nil {
		return nil, nil, err
	}
	var before []*Version
	err = s.db.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		before, err = s.match(ctx, q, typ, criteria)
		return err
	})
	if err == nil {
		err = s.recordLookup(ctx, typ, criteria, before)
	}
	if err == nil {
		err = oneAtMost(before)
	}
	if err != nil {
		return nil, nil, err
	}
	planned, err := plan(before)
	if err != nil {
		return nil, nil, err
	}
	if planned == nil {
		return nil, first(before), nil
	}
	err = s.write(ctx, func(ctx context.Context, tx db.Tx) ([]*Change, error) {
		done, existing = planned, nil
		if err := tx.Lock(ctx, lockName(typ)); err != nil {
			return nil, err
		}
		found, err := s.match(ctx, tx, typ, criteria)
		if err == nil {
			err = oneAtMost(found)
		}
		if err != nil {
			return nil, err
		}
		if !sameVersions(before, found) {
			if done, err = plan(found); err != nil {
				return nil, err
			}
			if existing = first(found); done == nil {
				return nil, nil
			}
		}
		made := []*Change{done}
		errs, err := s.apply(ctx, tx, made)
		if err != nil {
			return nil, err
		}
		return made, errs[0]
	})
	if err != nil {
		return nil, nil, err
	}
	return done, existing, nil
}

// lockName names the lock that conditional writes to a type take.
func lockName(typ string) string { return "records/" + typ }

func oneAtMost(found []*Version) error {
	if len(found) > 1 {
		return fault.Precondition("the criteria match more than one resource: they must be selective enough to name one")
	}
	return nil
}

func first(found []*Version) *Version {
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// sameVersions compares by resource: what is planned depends on which resource was found, not on its content.
func sameVersions(a, b []*Version) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID {
			return false
		}
	}
	return true
}

// conditions reads If-Match and If-None-Match of a write.
func (in *interaction) conditions() (match int64, mustNotExist bool, err error) {
	if match, err = readIfMatch(in.ifMatch); err != nil {
		return 0, false, err
	}
	for _, tag := range in.ifNoneMatch {
		if tag != "*" {
			return 0, false, fault.Invalid("If-None-Match of a write can only be *, which asks that there be no such resource yet")
		}
		mustNotExist = true
	}
	return match, mustNotExist, nil
}

// written is the answer to a create, update or patch that was made.
func written(c *Change) answer {
	a := answer{status: http.StatusOK, version: c.Version, wrote: true, created: c.Created, text: "it was updated"}
	if c.Created {
		a.status, a.text = http.StatusCreated, "it was created"
	}
	return a
}

// existed is the answer to a conditional create that found its resource.
func existed(v *Version) answer {
	return answer{status: http.StatusOK, version: v, wrote: true, created: true, existed: true, text: "it existed already"}
}

// removed is the answer to a deletion. A nil change says that there was nothing to delete.
func removed(c *Change) answer {
	a := answer{status: http.StatusNoContent, wrote: true, text: "it was deleted"}
	if c == nil || c.NoOp {
		a.text = "there was nothing to delete"
	}
	if c != nil {
		a.version = c.Version
	}
	return a
}
