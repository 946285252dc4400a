package records

import (
	"bytes"
	"context"
	"encoding/binary"

	"ward/internal/format/fhir/search"
	"ward/internal/kernel/seal"
)

// In the indexes no hash is kept as it is: who reads the tables could test a guess, such as a telephone number, by hashing it. It is masked under the tenant's
// key first. Hashes of one atom that are equal stay equal, and those of different atoms, or of different tenants, are not. What must keep its order (texts,
// URIs, dates, numbers) is kept as it is: see docs/security.md.

// Uses of the mask that are no atom's.
const (
	maskPatient = 1
	maskCode    = 2
)

// mask is the tenant's.
func (s *Service) mask(ctx context.Context) (*seal.Mask, error) {
	key, err := s.keys.For(ctx)
	if err != nil {
		return nil, err
	}
	return key.Mask(), nil
}

// maskKey appends a posting's key as it is stored.
func maskKey(m *seal.Mask, dst []byte, atom uint32, form search.Form, key []byte) []byte {
	if form == search.FormOrdered || len(key) < 8 {
		return append(dst, key...)
	}
	dst = binary.BigEndian.AppendUint64(dst, m.Uint64(atom, binary.BigEndian.Uint64(key)))
	switch rest := key[8:]; {
	case form == search.FormToken && len(rest) == 4:
		dst = append(dst, maskSystem(m, atom, rest)...)
	case form == search.FormTyped && len(rest) == 8:
		dst = binary.BigEndian.AppendUint64(dst, m.Uint64(^atom, binary.BigEndian.Uint64(rest)))
	}
	return dst
}

// maskSystem masks the hash of a token's system, alike for all codes: it is looked for alone.
func maskSystem(m *seal.Mask, atom uint32, system []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, m.Uint32(atom, binary.BigEndian.Uint32(system)))
}

// maskRanges gives ranges as the index has them. Those of charts stay: chartSource and the like mask what they look for.
func maskRanges(m *seal.Mask, ranges []search.Range) []search.Range {
	masked := make([]search.Range, len(ranges)) // those of a clause may be read by others
	for i, r := range ranges {
		if r.Form != search.FormOrdered && !r.Chart {
			if len(r.Suffix) == 4 {
				r.Suffix = maskSystem(m, r.Atom, r.Suffix)
			}
			prefix := !r.Eq && len(r.Lo) > 0 && bytes.Equal(r.Hi, search.Successor(r.Lo))
			r.Lo = maskKey(m, nil, r.Atom, r.Form, r.Lo)
			if prefix {
				r.Hi = search.Successor(r.Lo)
			}
		}
		masked[i] = r
	}
	return masked
}

// maskChart masks a patient's hash in the chart.
func maskChart(m *seal.Mask, patient int64) int64 {
	return int64(m.Uint64(maskPatient, uint64(patient))) //nolint:gosec // the bits on purpose
}

// maskChartCode masks a code's hash in the chart; 0, which stands for all, stays.
func maskChartCode(m *seal.Mask, code int64) int64 {
	if code == 0 {
		return 0
	}
	return int64(max(1, m.Uint64(maskCode, uint64(code)))) //nolint:gosec // the bits on purpose
}
