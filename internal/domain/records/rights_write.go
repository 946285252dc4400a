package records

import (
	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// A write is judged twice: what is there must be seen and in reach as a whole, and so must be what takes its place. The new content is
// judged when it is prepared, what is there inside the transaction.

// permit judges a change as far as that is possible without what is stored.
//
// Errors: Denied when the action is not allowed on any resource of the type, or not on what is to be created.
func (s *Service) permit(c *Change) error {
	switch {
	case c.Op == OpDelete:
		return mayAtAll(c.rights, c.Type, access.Delete)
	case c.fresh:
		if err := mayAtAll(c.rights, c.Type, access.Create); err != nil {
			return err
		}
		err := s.mayStore(c, access.Create)
		c.judged = err == nil
		return err
	case c.Op == OpPatch:
		return mayAtAll(c.rights, c.Type, access.Update)
	}
	return mayAtAll(c.rights, c.Type, access.Update, access.Create)
}

// mayStore judges the new content.
func (s *Service) mayStore(c *Change, a access.Action) error {
	if !c.rights.ClearsAll() {
		labels, err := access.LabelsOf(c.JSON)
		if err != nil {
			return wrapParse(err)
		}
		if !c.rights.Clears(labels) {
			return fault.Denied("the content has security labels (%s) that you have no grant for", labels)
		}
	}
	if c.rights.MayAll(c.Type, a) {
		return nil
	}
	for _, g := range c.rights.May(c.Type, a) {
		newcomer := g.Newcomers && c.Type == "Patient" && a == access.Create && c.fresh
		if (newcomer || s.among(c.registry, g.Among, c.Type, c.ID, c.doc, true)) &&
			s.meetsFilter(c.registry, g.Filter, &Version{Type: c.Type, ID: c.ID, JSON: c.JSON}, c.doc) {
			return nil
		}
	}
	return fault.Denied("this %s would be about somebody, or something, that you may not write about", c.Type)
}

// judge says whether a change may be made to what is stored; now is nil, a deletion, or what the change replaces. It gives what is there for
// who makes the change.
//
// Errors: NotFound for what is not there and for what may not be seen, so that nobody can tell the one from the other; Denied for
// what is seen and may not be changed.
func (s *Service) judge(c *Change, now *Version) (*Version, error) {
	if c.fresh {
		if c.judged {
			return now, nil
		}
		return now, s.permit(c)
	}
	own := access.Update
	if c.Op == OpDelete {
		own = access.Delete
	}
	if now == nil || now.Deleted() {
		return now, s.mayMake(c)
	}
	seen, err := s.sees(c.registry, c.rights, now, access.Read, access.Search, own)
	switch {
	case err != nil:
		return nil, err
	case !seen && c.Op == OpDelete:
		return nil, s.mayMake(c)
	case !seen:
		return nil, notFound(c.Type)
	}
	if err := s.mayChange(c, own, now); err != nil || c.Op == OpDelete {
		return now, err
	}
	return now, s.mayStore(c, own)
}

// mayMake judges a change of what is not there. To delete it is no error for who sees the whole type.
func (s *Service) mayMake(c *Change) error {
	switch {
	case c.Op == OpDelete && c.rights.MayAll(c.Type, access.Delete):
		return nil
	case c.Op == OpDelete, !c.joint && !c.rights.ChooseIDs(c.Type):
		return notFound(c.Type)
	}
	return s.mayStore(c, access.Create)
}

// mayChange says whether the action is allowed on what is there, of which it is known that it is seen.
func (s *Service) mayChange(c *Change, a access.Action, now *Version) error {
	if c.rights.MayAll(c.Type, a) {
		return nil
	}
	doc := jsontape.Get()
	defer jsontape.Put(doc)
	if err := doc.Parse(now.JSON); err != nil {
		return wrapParse(err)
	}
	for _, g := range c.rights.May(c.Type, a) {
		if s.among(c.registry, g.Among, now.Type, now.ID, doc, true) && s.meetsFilter(c.registry, g.Filter, now, doc) {
			return nil
		}
	}
	return fault.Denied("you may see this %s, and not %s it", c.Type, a)
}
