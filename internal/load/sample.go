package load

import (
	"encoding/binary"
	"math/rand/v2"
)

func shuffle[T any](list []T) {
	random(7, uint64(len(list))).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// newID is the stored form of an id that no other row has.
func newID(r *rand.Rand) []byte {
	id := make([]byte, 16)
	binary.BigEndian.PutUint64(id, r.Uint64())
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	return id
}

// postings gathers, in one pass over the index, the postings of the sample's rows, and for each patient the two values
// that say most: those that the fewest resources have.
func (t *sample) postings(rows map[int64]int, patients []int64, scan func(func(atom, rid int64, key []byte)) error) error {
	type value struct {
		atom int64
		key  string
	}
	of := make(map[int64][]value, len(patients))
	for _, rid := range patients {
		of[rid] = nil
	}
	shared := map[value]int{}
	err := scan(func(atom, rid int64, key []byte) {
		if i, ok := rows[rid]; ok {
			t.rows[i].atoms = append(t.rows[i].atoms, atom)
			t.rows[i].keys = append(t.rows[i].keys, key)
		}
		if list, ok := of[rid]; ok {
			v := value{atom, string(key)}
			of[rid] = append(list, v)
			shared[v]++
		}
	})
	if err != nil {
		return err
	}
	for _, rid := range patients {
		var best, second value
		for _, v := range of[rid] {
			switch {
			case best.key == "" || shared[v] < shared[best]:
				best, second = v, best
			case second.key == "" || shared[v] < shared[second]:
				second = v
			}
		}
		if second.key != "" {
			t.patients = append(t.patients, postingPair{
				[2]int64{best.atom, second.atom}, [2][]byte{[]byte(best.key), []byte(second.key)},
			})
		}
	}
	return nil
}
