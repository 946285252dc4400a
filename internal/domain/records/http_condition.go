package records

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
)

// readIfMatch reads an If-Match header or Bundle.entry.request.ifMatch: W/"3", "3" or *. 0 means that there is none.
// Versions are always compared by number, so weak and strong tags are alike (FHIR R4 http.html#versionaware).
func readIfMatch(value string) (int64, error) {
	value = strings.TrimSpace(value)
	switch value {
	case "":
		return 0, nil
	case "*":
		return anyVersion, nil
	}
	tag, ok := entityTag(value)
	if !ok {
		return 0, fault.Invalid(`If-Match takes the ETag of one version, such as W/"3"`)
	}
	return versionNumber(tag), nil
}

// entityTag gives what stands between the quotes of W/"3" or "3".
func entityTag(s string) (string, bool) {
	s = strings.TrimPrefix(s, "W/")
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	s = s[1 : len(s)-1]
	return s, !strings.ContainsAny(s, "\" \t")
}

func versionNumber(tag string) int64 {
	n, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != tag {
		return noVersion
	}
	return n
}

// notModified tells whether a conditional read may be answered with 304 (RFC 9110 §13.1, FHIR R4 http.html#cread).
// If-None-Match goes before If-Modified-Since.
func notModified(h http.Header, v *Version) bool {
	if tags := h["If-None-Match"]; len(tags) > 0 {
		return matchesTag(tags, v)
	}
	since := h.Get("If-Modified-Since")
	if since == "" {
		return false
	}
	t, err := http.ParseTime(since)
	return err == nil && !v.Updated().Truncate(time.Second).After(t)
}

func matchesTag(lines []string, v *Version) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			item = strings.TrimSpace(item)
			if item == "*" {
				return true
			}
			if tag, ok := entityTag(item); ok && versionNumber(tag) == v.Number {
				return true
			}
		}
	}
	return false
}

// requireFilter demands criteria that look at the resources: by nothing but _count or _sort, any resource would do.
func (s *Service) requireFilter(ctx context.Context, typ, criteria string) error {
	query, err := s.parse(ctx, typ, criteria, search.Options{})
	if err != nil {
		return err
	}
	if len(query.Clauses) == 0 {
		return fault.Invalid("the criteria must say which %s is meant: they have no search parameter that looks at the resources", typ)
	}
	return nil
}
