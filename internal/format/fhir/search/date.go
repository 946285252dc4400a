package search

import (
	"bytes"
	"math"

	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

const (
	second = int64(1_000_000) // µs
	day    = 24 * 60 * 60 * second

	openLow  = math.MinInt64 + 1 // below every date; MinInt64 itself stands for "no date" in the chart
	openHigh = math.MaxInt64     // above every date
)

// span reads a date, Period or Timing as the time from low up to but not including high. Only the outer limits of a
// Timing count (search.html#date). ok is false when there is nothing that can be read.
func span(doc *jsontape.Doc, n jsontape.Node, dt datatype) (low, high int64, ok bool) {
	switch dt { //nolint:exhaustive // the datatypes of date parameters
	case dtDateTime:
		if doc.Kind(n) != jsontape.String {
			return 0, 0, false
		}
		low, high, _, err := fhir.ParseDateTime(doc.Bytes(n))
		return low, high, err == nil
	case dtInstant: // a point in time: "an interval with an effective width of 0"
		low, _, ok := span(doc, n, dtDateTime)
		return low, low + 1, ok
	case dtPeriod:
		low, high = openLow, openHigh
		start, end := doc.Get(n, "start"), doc.Get(n, "end")
		if start < 0 && end < 0 {
			return 0, 0, false
		}
		if start >= 0 {
			if low, _, ok = span(doc, start, dtDateTime); !ok {
				return 0, 0, false
			}
		}
		if end >= 0 {
			if _, high, ok = span(doc, end, dtDateTime); !ok {
				return 0, 0, false
			}
		}
		return low, high, low < high
	case dtTiming:
		return timing(doc, n)
	}
	return 0, 0, false
}

// timing is the hull of a Timing's events and of its bounds.
func timing(doc *jsontape.Doc, n jsontape.Node) (low, high int64, ok bool) {
	low, high = openHigh, openLow
	for e := doc.First(doc.Get(n, "event")); e >= 0; e = doc.Next(e) {
		if l, h, is := span(doc, e, dtDateTime); is {
			low, high, ok = min(low, l), max(high, h), true
		}
	}
	if l, h, is := span(doc, doc.Get(doc.Get(n, "repeat"), "boundsPeriod"), dtPeriod); is {
		low, high, ok = min(low, l), max(high, h), true
	}
	return low, high, ok
}

// parseQueryDate reads a date in a query. A plus sign that was not percent-encoded arrives as a space.
func parseQueryDate(text string) (low, high int64, ok bool) {
	b := []byte(text)
	if i := bytes.LastIndexByte(b, ' '); i > len("2013-01-14T") {
		b[i] = '+'
	}
	low, high, _, err := fhir.ParseDateTime(b)
	return low, high, err == nil
}
