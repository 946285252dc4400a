package records

import (
	"context"
	"encoding/binary"
	"slices"

	"ward/internal/backend/cache"
	"ward/internal/backend/db"
	"ward/internal/kernel/access"
)

// Sight is which patients the principal of a context may see, for domains that keep something about patients outside of the records: what these
// don't show, nobody else shall. A patient is seen who is there, whose visits are in the principal's reach (by role, care and scopes), and
// whose Patient has no label that the principal has no grant for.
type Sight struct {
	s      *Service
	rights *access.Rights
	whole  bool // everybody is in reach
	among  []*access.Set
}

// Sight gives the sight of the principal in ctx. It reads whom they have in care, so it is not called inside a transaction.
func (s *Service) Sight(ctx context.Context) (*Sight, error) {
	r, err := s.rightsOf(ctx)
	if err != nil {
		return nil, err
	}
	v := &Sight{s: s, rights: r}
	for _, a := range []access.Action{access.Read, access.Search, access.Create, access.Update} {
		for _, g := range r.May("Appointment", a) {
			switch {
			case g.Filter != "": // it is for some visits, which tells nothing of patients
			case g.Among == nil:
				v.whole = true
			case !slices.Contains(v.among, g.Among):
				v.among = append(v.among, g.Among)
			}
		}
	}
	return v, nil
}

// Print is the same for principals who see the same, and for no others, until [SightTag] is invalidated.
func (v *Sight) Print() string { return v.rights.Fingerprint() }

// Among gives the ids of the patients in reach; confined is false where that is everybody.
func (v *Sight) Among() (patients []string, confined bool) {
	if v.whole {
		return nil, false
	}
	for _, set := range v.among {
		patients = append(patients, set.List()...)
	}
	slices.Sort(patients)
	return slices.Compact(patients), true
}

// SightTag stands for what may change whom anybody sees, besides whom they have in care: the labels of Patients, and that they are there.
func SightTag() cache.Tag { return cache.TagOf("sight", "") }

// Hidden gives those of the patients, by their ids, whom the principal does not see: for them they are not there. It is not called inside a transaction.
func (v *Sight) Hidden(ctx context.Context, patients []string) (hidden []string, err error) {
	asked := make([]string, 0, len(patients))
	for _, id := range patients {
		if v.whole || slices.ContainsFunc(v.among, func(set *access.Set) bool { return set.Has(id) }) {
			asked = append(asked, id)
		} else {
			hidden = append(hidden, id)
		}
	}
	err = v.s.standings(ctx, asked, func(id string, s standing) {
		if !s.there || !v.rights.Clears(s.classes) {
			hidden = append(hidden, id)
		}
	})
	return hidden, err
}

// Must errs with NotFound, and takes note of it, unless the principal sees all of the patients.
func (v *Sight) Must(ctx context.Context, patients ...string) error {
	hidden, err := v.Hidden(ctx, patients)
	if err == nil && len(hidden) > 0 {
		v.s.hidden(ctx, "Patient")
		err = notFound("Patient")
	}
	return err
}

// standing is what decides on who sees a patient, beside reach.
type standing struct {
	there   bool
	classes access.Classes
}

func standingOf(v *Version) (standing, error) {
	if v == nil || v.Deleted() {
		return standing{}, nil
	}
	classes, err := access.LabelsOf(v.JSON)
	return standing{true, classes}, wrapParse(err)
}

// standings calls each for every one of the patients.
func (s *Service) standings(ctx context.Context, patients []string, each func(id string, s standing)) error {
	var (
		missing []string
		leases  []cache.Lease
		buffer  [128]byte
	)
	key := func(id string) []byte { return append(append(buffer[:0], "standing/"...), id...) }
	for _, id := range patients {
		if value, ok := s.answers.kept(ctx, key(id)); ok {
			each(id, standing{true, access.Classes(binary.BigEndian.Uint16(value))})
			continue
		}
		lease, err := s.answers.cache.Begin(ctx, resourceTag("Patient", id))
		if err != nil {
			return err
		}
		missing, leases = append(missing, id), append(leases, lease)
	}
	if len(missing) == 0 {
		return nil
	}
	types, ids := make([]int32, len(missing)), make([][]byte, len(missing))
	for i, id := range missing {
		types[i], ids[i] = s.number("Patient"), encodeID(id)
	}
	found := make([]standing, len(missing))
	err := s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		clear(found)
		return q.Lookup(ctx, db.Lookup{
			Table: "records_resource", Want: []string{"rid", "version", "seq", "op", "body"}, Keys: []db.Column{db.Col("type", types), db.Col("id", ids)},
		}, func(i int, r db.Row) error {
			v, err := s.scanVersion(ctx, r, "Patient", missing[i])
			if err == nil {
				found[i], err = standingOf(v)
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	for i, id := range missing {
		if found[i].there { // who is not there may come without a word: whoever makes a resource anew tells nobody
			leases[i].Store(key(id), binary.BigEndian.AppendUint16(nil, uint16(found[i].classes)))
		}
		each(id, found[i])
	}
	return nil
}

// sightTags are for a change that may have decided on who sees a patient.
func sightTags(c *Change) []cache.Tag {
	if c.Type != "Patient" || c.fresh || c.NoOp {
		return nil
	}
	if c.Version != nil {
		was, err := standingOf(c.Prior)
		is, err2 := standingOf(c.Version)
		if err == nil && err2 == nil && (was == is || !was.there) {
			return nil
		}
	}
	return []cache.Tag{SightTag()}
}
