package records

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// indexStatus is $index-status: how far the indexes of the tenant's own search parameters are, of one or of all. Each has a
// parameter "index" with the parts url, state (indexing, ready or dropping), done and total; done and total count resources,
// and total is left out until it is known.
func (s *Service) indexStatus(ctx context.Context, in *interaction) (answer, error) {
	if err := mayAtAll(access.Of(ctx), in.typ, access.Read, access.Search); err != nil {
		return answer{}, err
	}
	if _, err := s.arguments(in); err != nil {
		return answer{}, err
	}
	var rows []parameterRow
	err := s.reading(ctx, in, func(ctx context.Context, q db.Querier) (err error) {
		rows, err = readParameters(ctx, q)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	out := []byte(`{"resourceType":"Parameters"`)
	n := 0
	for _, row := range rows {
		if in.id != "" && (row.id != in.id || row.state == parameterDropping) {
			continue
		}
		if n == 0 {
			out = append(out, `,"parameter":[`...)
		} else {
			out = append(out, ',')
		}
		n++
		url, _, _ := strings.Cut(row.url, " ")
		out = jsontape.AppendQuoted(append(out, `{"name":"index","part":[{"name":"url","valueUri":`...), url)
		out = jsontape.AppendQuoted(append(out, `},{"name":"state","valueCode":`...), row.state)
		out = strconv.AppendInt(append(out, `},{"name":"done","valueDecimal":`...), row.done, 10)
		if row.total >= 0 {
			out = strconv.AppendInt(append(out, `},{"name":"total","valueDecimal":`...), row.total, 10)
		}
		out = append(out, `}]}`...)
	}
	if n == 0 && in.id != "" {
		return answer{}, fault.NotFound("no SearchParameter of this id is searched by; only active ones that are not part of the standard have an index of their own")
	}
	if n > 0 {
		out = append(out, ']')
	}
	return answer{status: http.StatusOK, body: append(out, '}')}, nil
}
