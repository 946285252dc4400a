package records

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/format/jsontape"
)

// world writes random resources of linked types under a few ids, and remembers every version that was acknowledged.
type world struct {
	s   *Service
	ctx context.Context //nolint:containedctx // the tenant's

	mu    sync.Mutex
	acked map[string]map[int64]*Version // by "Type/id" and number
}

func newWorld(s *Service, ctx context.Context) *world {
	return &world{s: s, ctx: ctx, acked: map[string]map[int64]*Version{}}
}

// population is how many ids each type has.
//
//nolint:gochecknoglobals // constant table
var population = map[string]int{
	"Patient": 5, "Practitioner": 3, "Organization": 2, "Encounter": 6, "Observation": 14, "Condition": 6, "MedicationRequest": 5,
}

func randomKey(r *rand.Rand) (typ, id string) {
	types := slices.Sorted(maps.Keys(population))
	typ = types[r.IntN(len(types))]
	return typ, fmt.Sprintf("%c%d", typ[0]|0x20, r.IntN(population[typ]))
}

func pick(r *rand.Rand, choices ...string) string { return choices[r.IntN(len(choices))] }

// randomResource is a resource with few values, so that resources share them and updates repeat them.
func randomResource(r *rand.Rand, typ, id string) []byte {
	patient := fmt.Sprintf(`{"reference":"Patient/p%d"}`, r.IntN(5))
	practitioner := fmt.Sprintf(`{"reference":"Practitioner/p%d"}`, r.IntN(3))
	date := fmt.Sprintf("%d-%02d-%02d", 2018+r.IntN(3), 1+r.IntN(3), 1+r.IntN(3))
	members := []string{`"resourceType":"` + typ + `"`, `"id":"` + id + `"`}
	maybe := func(text string) {
		if r.IntN(4) > 0 {
			members = append(members, text)
		}
	}
	always := func(text string) { members = append(members, text) }
	coding := func() string {
		code := pick(r, "8867-4", "29463-7", "8302-2")
		one := `{"system":"http://loinc.org","code":"` + code + `"}`
		return pick(r, one, one, one+`,{"system":"urn:local","code":"`+code+`"}`, one+`,{"code":"other"}`, `{"code":"`+code+`"}`)
	}
	maybe(`"meta":{"tag":[{"system":"urn:tags","code":"` + pick(r, "a", "b") + `"}]}`)
	switch typ {
	case "Patient":
		maybe(`"identifier":[{"system":"urn:mrn","value":"` + id + `"},{"value":"` + pick(r, "x", "y") + `"}]`)
		maybe(`"active":` + pick(r, "true", "false"))
		maybe(`"name":[{"family":"` + pick(r, "Chalmers", "Müller", "Windsor") + `","given":["` + pick(r, "Peter", "Ann") + `"]}]`)
		maybe(`"gender":"` + pick(r, "male", "female") + `"`)
		maybe(`"birthDate":"` + pick(r, "1974", date) + `"`)
		maybe(`"generalPractitioner":[` + practitioner + `]`)
		maybe(`"managingOrganization":{"reference":"Organization/o` + pick(r, "0", "1") + `"}`)
	case "Practitioner":
		maybe(`"name":[{"family":"` + pick(r, "Careful", "Adam") + `"}]`)
		maybe(`"gender":"` + pick(r, "male", "female") + `"`)
	case "Organization":
		always(`"name":"` + pick(r, "Gastro", "Cardio") + `"`)
	case "Encounter":
		always(`"status":"` + pick(r, "planned", "finished") + `"`)
		always(`"class":{"code":"` + pick(r, "AMB", "IMP") + `"}`)
		maybe(`"subject":` + patient)
		maybe(`"participant":[{"individual":` + practitioner + `}]`)
		maybe(`"period":{"start":"` + date + `"}`)
	case "Observation":
		always(`"status":"` + pick(r, "final", "preliminary", "amended") + `"`)
		maybe(`"category":[{"coding":[{"code":"` + pick(r, "vital-signs", "laboratory") + `"}]}]`)
		always(`"code":{"coding":[` + coding() + `]}`)
		maybe(`"subject":` + pick(r, patient, patient, `{"reference":"Group/g1"}`))
		maybe(`"encounter":{"reference":"Encounter/e` + pick(r, "0", "1", "2") + `"}`)
		maybe(pick(r, `"effectiveDateTime":"`+date+`"`, `"effectivePeriod":{"start":"`+date+`","end":"2022-01-01"}`))
		maybe(`"performer":[` + practitioner + `,` + patient + `]`)
		maybe(`"valueQuantity":{"value":` + pick(r, "60", "61.5", "62.50") + `,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}`)
	case "Condition":
		maybe(`"code":{"coding":[` + coding() + `]}`)
		always(`"subject":` + patient)
		maybe(`"onsetDateTime":"` + date + `"`)
		maybe(`"asserter":` + practitioner)
	case "MedicationRequest":
		always(`"status":"active"`)
		always(`"intent":"` + pick(r, "order", "plan") + `"`)
		always(`"medicationCodeableConcept":{"coding":[` + coding() + `]}`)
		always(`"subject":` + patient)
		maybe(`"authoredOn":"` + date + `"`)
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}

// change is a random write, prepared.
func (w *world) change(t *testing.T, r *rand.Rand) *Change {
	t.Helper()
	typ, id := randomKey(r)
	op, json := OpUpdate, randomResource(r, typ, id)
	switch n := r.IntN(10); {
	case n == 0 && typ == "Observation":
		op, id, json = OpCreate, "", bytes.Replace(json, []byte(`"id":"`+id+`",`), nil, 1)
	case n < 3:
		op, json = OpDelete, nil
	case n < 5:
		op = OpPatch
	}
	c, err := w.s.prepare(w.ctx, typ, id, op, json)
	if err != nil {
		t.Fatalf("prepare: %v", err)
	}
	return c
}

// ack remembers what an acknowledged change made.
func (w *world) ack(t *testing.T, c *Change) {
	t.Helper()
	if c.NoOp {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key := c.Type + "/" + c.ID
	if w.acked[key] == nil {
		w.acked[key] = map[int64]*Version{}
	}
	if w.acked[key][c.Version.Number] != nil {
		t.Errorf("version %d of %s was acknowledged twice", c.Version.Number, key)
	}
	w.acked[key][c.Version.Number] = c.Version
}

// apply writes a group in one transaction.
func (w *world) apply(t *testing.T, cs []*Change) {
	t.Helper()
	var errs []error
	err := w.s.db.Write(w.ctx, func(ctx context.Context, tx db.Tx) (err error) {
		errs, err = w.s.apply(ctx, tx, cs)
		return err
	})
	if err == nil {
		err = w.s.announce(w.ctx, cs)
	}
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	for i, c := range cs {
		if errs[i] == nil {
			w.ack(t, c)
		}
	}
}

// check compares everything in the tables with what was acknowledged.
func (w *world) check(t *testing.T) {
	t.Helper()
	resources := w.checkIndexes(t)
	for key, versions := range w.acked {
		typ, id, _ := strings.Cut(key, "/")
		last := int64(len(versions))
		current := resources[key]
		if current == nil || current.Number != last {
			t.Errorf("%s: the current version is %v, want number %d", key, current, last)
			continue
		}
		before := int64(0)
		for n := int64(1); n <= last; n++ {
			want := versions[n]
			if want == nil {
				t.Errorf("%s: version %d of %d was not acknowledged", key, n, last)
				continue
			}
			var got *Version
			err := w.s.db.Read(w.ctx, func(ctx context.Context, q db.Querier) (err error) {
				got, err = w.s.versionRead(ctx, q, typ, id, n)
				return err
			})
			if err != nil {
				t.Errorf("%s version %d: %v", key, n, err)
				continue
			}
			if got.Seq <= before || n == 1 && got.Seq != got.RID || got.RID != current.RID {
				t.Errorf("%s version %d: rid %d seq %d after seq %d", key, n, got.RID, got.Seq, before)
			}
			before = got.Seq
			if got.Op != want.Op || got.Seq != want.Seq || got.Number != n || !bytes.Equal(got.JSON, want.JSON) {
				t.Errorf("%s version %d:\n got %d %s\nwant %d %s", key, n, got.Op, got.JSON, want.Op, want.JSON)
			}
		}
		delete(resources, key)
	}
	for key := range resources {
		t.Errorf("%s was not acknowledged", key)
	}
}

// checkIndexes compares the rows of the indexes with what extraction gives for the current versions, which it returns.
func (w *world) checkIndexes(t *testing.T) map[string]*Version {
	t.Helper()
	s := w.s
	registry, err := s.registry(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.mask(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	resources, want, got := map[string]*Version{}, map[string]int{}, map[string]int{}
	chartKey := func(patient uint64, typ int64, code uint64, at, rid int64) string {
		return fmt.Sprintf("chart %x %d %x %d of %d", patient, typ, code, at, rid)
	}
	postingKey := func(atom uint32, key []byte, rid int64) string {
		return fmt.Sprintf("posting %x %x of %d", atom, key, rid)
	}
	err = s.db.Snapshot(w.ctx, func(ctx context.Context, q db.Querier) error {
		err := q.Query(ctx, `SELECT rid, version, seq, op, body, id, type FROM records_resource`, func(row db.Row) error {
			typ := s.definitions.TypeName(int16(row.Int64(6))) //nolint:gosec // a type's number
			v, err := s.scanCandidate(ctx, row, typ)
			if err != nil {
				return err
			}
			resources[typ+"/"+v.ID] = v
			if v.Deleted() {
				return nil
			}
			var doc jsontape.Doc
			if err := doc.Parse(v.JSON); err != nil {
				return err
			}
			values := extract(registry, typ, v.ID, &doc)
			for _, p := range values.postings {
				want[postingKey(p.Atom, maskKey(m, nil, p.Atom, p.Form, p.Key), v.RID)]++
			}
			for _, patient := range values.chart.Patients {
				for _, code := range append([]uint64{0}, values.chart.Codes...) {
					patient, code := maskChart(m, int64(patient)), maskChartCode(m, int64(code))           //nolint:gosec // hashes' bits
					want[chartKey(uint64(patient), row.Int64(6), uint64(code), ^values.chart.At, v.RID)]++ //nolint:gosec // hashes' bits
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = q.Query(ctx, `SELECT atom, key, rid FROM records_index`, func(row db.Row) error {
			got[postingKey(uint32(row.Int64(0)), row.Bytes(1), row.Int64(2))]++ //nolint:gosec // a hash's bits
			return nil
		})
		if err != nil {
			return err
		}
		return q.Query(ctx, `SELECT patient, type, code, at, rid FROM records_chart`, func(row db.Row) error {
			got[chartKey(uint64(row.Int64(0)), row.Int64(1), uint64(row.Int64(2)), row.Int64(3), row.Int64(4))]++ //nolint:gosec // a hash's bits
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, n := range want {
		if got[key] != n {
			t.Errorf("%s: %d rows, want %d", key, got[key], n)
		}
		delete(got, key)
	}
	for key := range got {
		t.Errorf("%s: left over", key)
	}
	return resources
}
