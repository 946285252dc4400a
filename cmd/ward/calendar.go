package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

type calendarCmd struct {
	Expand calendarExpandCmd `cmd:"" help:"Compute the occurrences of recurrence rules, to hold them against another calendar's."`
}

type calendarExpandCmd struct{}

const (
	expandLine    = 1 << 20 // bytes of a line
	expandMost    = 100_000 // occurrences of a line
	expandEndless = 1_000   // occurrences of a rule without an end, when nothing else bounds them
)

// Help is shown by --help.
func (calendarExpandCmd) Help() string {
	return `Reads JSON lines on standard input and writes one for each:

  in   {"id","dtstart","tz","rrule","from","to","limit"}
  out  {"id","local":[...],"utc":[...]} or {"id","error"}

dtstart is 20260103T090000, or 20260103 for whole days; tz an IANA zone, or "" for a time without one (utc is then what a
clock in UTC shows). from (inclusive) and to (exclusive) are 20260103T090000Z, a local time without Z, a day, or RFC 3339.
from, to, limit and rrule are optional. A rule without an end, to or limit gives its first 1,000 occurrences; a line gives up to 100,000.
local is what the rule says; where a clock change skips that, utc is later by the gap.

Example:
  echo '{"id":1,"dtstart":"20260103T090000","tz":"America/New_York","rrule":"FREQ=MONTHLY;BYDAY=-1FR;COUNT=3"}' | ward calendar expand`
}

// expansion is a line of the input.
type expansion struct {
	ID      json.RawMessage `json:"id"`
	DTStart string          `json:"dtstart"`
	TZ      string          `json:"tz"`
	RRule   string          `json:"rrule"`
	From    string          `json:"from"`
	To      string          `json:"to"`
	Limit   *int            `json:"limit"`
}

// expanded is a line of the output.
type expanded struct {
	ID    json.RawMessage `json:"id"`
	Local []string        `json:"local,omitzero"`
	UTC   []string        `json:"utc,omitzero"`
	Error string          `json:"error,omitempty"`
}

// Run expands line by line until the input ends.
func (calendarExpandCmd) Run(ctx context.Context, w *world) error {
	in, out := bufio.NewReaderSize(w.in, 64<<10), bufio.NewWriter(w.out)
	answer := json.NewEncoder(out)
	answer.SetEscapeHTML(false)
	for ctx.Err() == nil {
		line, whole, err := expandRead(in)
		if len(bytes.TrimSpace(line)) > 0 || !whole {
			result := expanded{Error: "the line is longer than 1 MB"}
			if whole {
				result = expand(line)
			}
			if err := answer.Encode(result); err != nil {
				return err
			}
			if in.Buffered() == 0 { // whoever writes line by line gets answers line by line
				if err := out.Flush(); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	return out.Flush()
}

// expandRead reads a line; what is longer than a line may be is read over.
func expandRead(in *bufio.Reader) (line []byte, whole bool, err error) {
	whole = true
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > expandLine {
			whole = false
		} else {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, whole, err
		}
	}
}

func expand(line []byte) expanded {
	var e expansion
	if err := json.Unmarshal(line, &e); err != nil {
		return expanded{ID: e.ID, Error: `the line must be a JSON object such as {"id":"1","dtstart":"20260103T090000","tz":"America/New_York","rrule":"FREQ=DAILY;COUNT=3"}`}
	}
	list, days, err := e.occurrences()
	if err != nil {
		return expanded{ID: e.ID, Error: fault.Message(err)}
	}
	result := expanded{ID: e.ID, Local: make([]string, len(list)), UTC: make([]string, len(list))}
	for i, o := range list {
		result.Local[i] = ical.Moment{Civil: o.Local, Date: days}.String()
		result.UTC[i] = ical.Moment{Civil: ical.Civil(o.Start), UTC: true}.String()
	}
	return result
}

func (e *expansion) occurrences() (list []ical.Occurrence, days bool, err error) {
	d := ical.Definition{}
	if d.Start, err = ical.ParseMoment("dtstart", e.DTStart); err != nil {
		return nil, false, err
	}
	zone := ical.UTC
	if e.TZ != "" {
		if zone, err = ical.LoadZone(e.TZ); err != nil {
			return nil, false, err
		}
		d.Zone = zone
	}
	if e.RRule != "" {
		rule, err := ical.ParseRule(e.RRule)
		if err != nil {
			return nil, false, err
		}
		d.Rule = &rule
	}
	from, err := expandTime("from", e.From, zone, -1<<45)
	if err != nil {
		return nil, false, err
	}
	to, err := expandTime("to", e.To, zone, 1<<45)
	if err != nil {
		return nil, false, err
	}
	if from > to {
		return nil, false, fault.New(fault.CodeInvalid, "from is after to: it must be the earlier of both")
	}
	series, err := ical.NewSeries(d)
	if err != nil {
		return nil, false, err
	}
	limit := expandMost + 1
	_, bounded := series.Latest()
	switch {
	case e.Limit != nil && (*e.Limit < 1 || *e.Limit > expandMost):
		return nil, false, fault.New(fault.CodeInvalid, "limit must be from 1 to %d", expandMost)
	case e.Limit != nil:
		limit = *e.Limit
	case !bounded && e.To == "":
		limit = expandEndless
	}
	list = series.Between(nil, from, to, limit)
	if len(list) > expandMost {
		return nil, false, fault.New(fault.CodeInvalid, "these are more than %d occurrences: choose from and to closer to each other, or a limit", expandMost)
	}
	return list, d.Start.Date, nil
}

// expandTime reads an end of the window.
func expandTime(part, text string, zone *ical.Zone, none int64) (int64, error) {
	if text == "" {
		return none, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Unix(), nil
	}
	m, err := ical.ParseMoment(part, text)
	if err != nil {
		return 0, err
	}
	return m.In(zone), nil
}
