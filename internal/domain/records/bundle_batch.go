package records

import (
	"context"
	"net/http"
	"slices"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/kernel/access"
)

// batchWidth is how many entries of a batch are under way at once. A batch holds one place in its lane, however many
// entries it has, so it may not take more of the machine than a few requests do; several at once let their writes
// share a commit.
const batchWidth = 8

// bundleRoom is how many bytes of bundles are under way at once for each CPU. In work a bundle takes about ten times its size, and
// more of them at once than the CPUs can prepare finish no sooner. A larger bundle is under way alone.
const bundleRoom = 1 << 20

// processBundle carries out a batch or a transaction and gives the response Bundle (FHIR R4 http.html#transaction).
func (s *Service) processBundle(ctx context.Context, json []byte, base string, prefer preference) ([]byte, error) {
	room := min(int64(len(json)), s.bundleRoom)
	if err := s.bundles.Acquire(ctx, room); err != nil {
		return nil, fault.New(fault.CodeCanceled, "the request ended before the bundle's turn came").With(err)
	}
	defer s.bundles.Release(room)
	ctx, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	b, err := s.readBundle(json)
	if err != nil {
		return nil, err
	}
	if !b.atomic {
		return s.batch(ctx, b, base, prefer)
	}
	t, err := s.transact(ctx, b, base, prefer)
	if err != nil {
		return nil, err
	}
	entries := make([]*fhir.BundleEntry, len(t.steps))
	for i := range t.steps {
		entries[i] = responded(&t.steps[i].in, &t.steps[i].answer)
	}
	return responseBundle(fhir.TransactionResponse, entries)
}

func responseBundle(kind string, entries []*fhir.BundleEntry) ([]byte, error) {
	size := 512
	for _, e := range entries {
		size += 320 + len(e.Resource) + len(e.Response.Outcome)
	}
	return bundleOf(fhir.BundleHead{Type: kind, Total: fhir.NoTotal}, fhir.View{}, size, func(b *fhir.BundleWriter) error {
		for _, e := range entries {
			if err := b.Entry(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// batch carries out each entry by itself. The entries of a verb run side by side, the verbs in the order of a
// transaction (FHIR R4 http.html#brules).
func (s *Service) batch(ctx context.Context, b *bundle, base string, prefer preference) ([]byte, error) {
	results := make([]*fhir.BundleEntry, len(b.entries))
	byOrder := make([][]int, stepGet+1)
	for i := range b.entries {
		order := stepGet
		switch b.entries[i].method {
		case http.MethodDelete:
			order = stepDelete
		case http.MethodPost:
			order = stepPost
		case http.MethodPut, http.MethodPatch:
			order = stepPut
		}
		byOrder[order] = append(byOrder[order], i)
	}
	for _, indexes := range byOrder {
		parallel(len(indexes), batchWidth, func(n int) {
			i := indexes[n]
			results[i] = s.batchEntry(ctx, b, &b.entries[i], base, prefer)
		})
	}
	return responseBundle(fhir.BatchResponse, results)
}

func (s *Service) batchEntry(ctx context.Context, b *bundle, e *bundleEntry, base string, prefer preference) *fhir.BundleEntry {
	if len(e.problems) > 0 {
		return failed(fault.Invalid("the entry is not well formed").Detail(e.problems...))
	}
	in, err := s.entryInteraction(b.doc, e, base, prefer)
	if err == nil {
		err = require(ctx, &in)
	}
	if err != nil {
		return failed(inEntry(e.index, err))
	}
	a, err := s.perform(ctx, &in)
	if err != nil {
		s.noteFailure(ctx, err)
		return failed(inEntry(e.index, err))
	}
	return responded(&in, &a)
}

// noteFailure logs what a batch's answer hides behind "internal error".
func (s *Service) noteFailure(ctx context.Context, err error) {
	if fault.CodeOf(err) == fault.CodeInternal {
		s.log.ErrorContext(ctx, "batch entry failed", "error", err.Error())
	}
}

// require asks for the permission that an entry's interaction needs; the route of bundles itself asks only for that of
// sending one.
func require(ctx context.Context, in *interaction) error {
	switch {
	case in.metadata:
		return nil
	case !in.isWrite():
		return access.Require(ctx, access.RecordsRead)
	case in.typ == "SearchParameter":
		return access.Require(ctx, access.RecordsConfig)
	case in.method == http.MethodDelete:
		return access.Require(ctx, access.RecordsDelete)
	}
	return access.Require(ctx, access.RecordsWrite)
}

// require checks a whole transaction before anything is done.
func (t *transaction) require(ctx context.Context) error {
	i := slices.IndexFunc(t.steps, func(st step) bool { return require(ctx, &st.in) != nil })
	if i < 0 {
		return nil
	}
	return inEntry(i, require(ctx, &t.steps[i].in))
}
