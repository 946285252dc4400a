package records

import (
	"context"
	"encoding/binary"
	"sync"

	"ward/internal/backend/cache"
	"ward/internal/base/fault"
)

// answers keeps what was read, exactly while nothing that it depends on has been written: a resource depends on
// itself, an answer about one patient on that patient's compartment.
type answers struct {
	cache   *cache.Cache
	stripes [64]sync.Mutex // by resource, while it is kept
}

// parametersTag stands for the search parameters that the tenant added.
func parametersTag() cache.Tag { return cache.TagOf("SearchParameter", "") }

func resourceTag(typ, id string) cache.Tag { return cache.TagOf(typ, id) }

// compartmentTag stands for everything that is in a patient's chart; patient is search.RefHash of "Patient/id".
func compartmentTag(patient uint64) cache.Tag {
	return cache.TagOfBytes("compartment", binary.BigEndian.AppendUint64(nil, patient))
}

// resource returns the current version, which may be a deletion: from the cache if it stands, which kept tells, else from load. It errs with
// what load errs with.
func (a *answers) resource(ctx context.Context, typ, id string, load func() (*Version, error)) (_ *Version, kept bool, _ error) {
	var buf [128]byte
	key := append(append(append(buf[:0], typ...), '/'), id...)
	value, ok, err := a.cache.Get(ctx, key)
	if err != nil {
		return nil, false, err
	}
	if !ok {
		lease, err := a.cache.Begin(ctx, resourceTag(typ, id))
		if err != nil {
			return nil, false, err
		}
		v, err := load()
		if err != nil {
			return nil, false, err
		}
		a.keep(ctx, lease, key, v)
		return v, false, nil
	}
	v := &Version{
		Type: typ, ID: id,
		Number: int64(binary.BigEndian.Uint64(value)), Seq: int64(binary.BigEndian.Uint64(value[8:])), //nolint:gosec // as stored
		RID: int64(binary.BigEndian.Uint64(value[16:])), Op: Op(value[24]), JSON: value[resourceHead:], //nolint:gosec // as stored
	}
	return v, true, nil
}

// there errs with Gone for a deletion.
func (v *Version) there() error {
	if v.Deleted() {
		return gone(v.Type)
	}
	return nil
}

const resourceHead = 25

// keep stores a version, unless a later one has been: a reader that was slow must not bring back what others have seen
// superseded.
func (a *answers) keep(ctx context.Context, lease cache.Lease, key []byte, v *Version) {
	value := make([]byte, 0, resourceHead+len(v.JSON))
	value = binary.BigEndian.AppendUint64(value, uint64(v.Number)) //nolint:gosec // read back above
	value = binary.BigEndian.AppendUint64(value, uint64(v.Seq))    //nolint:gosec // read back above
	value = binary.BigEndian.AppendUint64(value, uint64(v.RID))    //nolint:gosec // read back above
	value = append(append(value, byte(v.Op)), v.JSON...)
	stripe := &a.stripes[(v.RID^v.RID>>seqTimeShift)%int64(len(a.stripes))]
	stripe.Lock()
	defer stripe.Unlock()
	if kept, ok, _ := a.cache.Get(ctx, key); !ok || int64(binary.BigEndian.Uint64(kept)) < v.Number { //nolint:gosec // as stored
		lease.Store(key, value)
	}
}

// answer returns the bytes kept under key, or makes and keeps them. tags are asked for only on a miss; none means
// that the answer cannot be kept.
func (a *answers) answer(ctx context.Context, key []byte, tags []cache.Tag, build func() ([]byte, error)) ([]byte, error) {
	if len(tags) == 0 {
		return build()
	}
	lease, err := a.cache.Begin(ctx, tags...)
	if err != nil {
		return nil, err
	}
	value, err := build()
	if err == nil {
		lease.Store(key, value)
	}
	return value, err
}

// kept returns the bytes that answer kept under key while they stand.
func (a *answers) kept(ctx context.Context, key []byte) ([]byte, bool) {
	value, ok, err := a.cache.Get(ctx, key)
	return value, ok && err == nil
}

// announce makes every process read anew what the changes touched. It is called after the commit and before the
// write is acknowledged, also when it is not known whether the commit took place.
func (s *Service) announce(ctx context.Context, cs []*Change) error {
	tags := make([]cache.Tag, 0, 2*len(cs))
	patients := map[uint64]bool{}
	for _, c := range cs {
		if c.NoOp && c.Version == nil {
			continue
		}
		if c.Type == "SearchParameter" {
			tags = append(tags, parametersTag())
		}
		if !c.fresh {
			tags = append(tags, resourceTag(c.Type, c.ID))
		}
		tags = append(append(tags, s.panelTags(c)...), sightTags(c)...)
		for _, p := range c.patients {
			if !patients[p] {
				patients[p] = true
				tags = append(tags, compartmentTag(p))
			}
		}
	}
	s.parameters.announce(ctx, cs)
	if len(tags) == 0 {
		return nil
	}
	if err := s.answers.cache.Invalidate(ctx, tags...); err != nil {
		return fault.Unavailable("the write may be committed, but not all processes could be told in time: read before you repeat it").With(err)
	}
	return nil
}
