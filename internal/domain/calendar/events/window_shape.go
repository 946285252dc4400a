package events

import (
	"io"
	"strconv"
	"strings"

	"ward/internal/format/ical"
)

// sink gathers an answer and sends it in pieces.
type sink struct {
	w      io.Writer
	b      []byte
	failed bool // the caller went away
}

func newSink(w io.Writer, room int) *sink {
	return &sink{w: w, b: make([]byte, 0, min(chunk+4096, room))}
}

// more sends what there is when it is enough.
func (s *sink) more() {
	if len(s.b) >= chunk {
		s.send()
	}
}

func (s *sink) send() {
	if !s.failed {
		_, err := s.w.Write(s.b)
		s.failed = err != nil
	}
	s.b = s.b[:0]
}

// occurrences writes a page of what happens.
func (a *asked) occurrences(w io.Writer, v *viewer, list [][]shard) error {
	out := newSink(w, chunk+4096)
	if len(list) == 1 {
		out.b = make([]byte, 0, 4096)
	}
	out.b = append(out.b, `{"occurrences":[`...)
	var e entry
	n, next := 0, ""
	a.inOrder(list, a.cursor, func(day []pick) bool {
		for _, p := range day {
			if n == a.count {
				next = sealCursor(&e)
				return false
			}
			if n > 0 {
				out.b = append(out.b, ',')
			}
			p.sh.entry(p.i, &e)
			out.b = v.append(out.b, &e)
			n++
			out.more()
		}
		return !out.failed
	})
	out.b = append(out.b, ']')
	if next != "" {
		out.b = append(append(append(out.b, `,"next":"`...), next...), '"')
	}
	out.b = append(out.b, '}')
	out.send()
	return nil
}

// dates are the days of the window on the clocks of tz, and where they begin; the end of the last comes last.
func (a *asked) dates() (list []string, begins []int64) {
	for day := a.zone.Civil(a.from).Midnight(); ; day += 86400 {
		at := a.zone.Instant(day)
		begins = append(begins, at)
		if at >= a.to {
			return list, begins
		}
		list = append(list, timeText(day, true))
	}
}

// dayOf is the number of the day that an instant is in.
func dayOf(begins []int64, instant int64) int {
	last := len(begins) - 2
	d := min(max(int((instant-begins[0])/86400), 0), last) // right but for clock changes
	for d > 0 && begins[d] > instant {
		d--
	}
	for d < last && begins[d+1] <= instant {
		d++
	}
	return d
}

// days writes how much begins on each day; what began before the window counts on its first day.
func (a *asked) days(w io.Writer, list [][]shard) error {
	dates, begins := a.dates()
	counts := make([]int, len(dates))
	a.countDays(list, begins, counts)
	out := newSink(w, 64+40*len(dates))
	out.b = append(out.b, `{"days":[`...)
	for d, date := range dates {
		if d > 0 {
			out.b = append(out.b, ',')
		}
		out.b = append(append(append(out.b, `{"day":"`...), date...), `","count":`...)
		out.b = append(strconv.AppendInt(out.b, int64(counts[d]), 10), '}')
	}
	out.b = append(out.b, "]}"...)
	out.send()
	return nil
}

// once tells occurrences of several subscribers apart.
type once map[occurrence]bool

type occurrence struct {
	start, recurrence int64
	id                string
}

func (o once) seen(sh shard, i int) bool {
	k := occurrence{sh.start(i), sh.recurs(i), string(sh.id(i))}
	was := o[k]
	o[k] = true
	return was
}

// countDays counts the days' occurrences, each once.
func (a *asked) countDays(list [][]shard, begins []int64, counts []int) {
	seen := once{}
	shared := byte(flagJoint) // what may be in the calendars of several
	if !oneType(a.subscribers) {
		shared = flagMany
	}
	if len(list) == 1 {
		shared = 0
	}
	whole := a.zone == ical.UTC && a.from == begins[0] && a.to == begins[len(begins)-1] && shared != flagMany
	first := monthOf(a.from)
	for _, months := range list {
		if !whole {
			a.each(months, func(sh shard, i int) {
				if sh.flags(i)&shared == 0 || !seen.seen(sh, i) {
					counts[dayOf(begins, max(sh.start(i), a.from))]++
				}
			})
			continue
		}
		for m, sh := range months {
			if sh.len() > 0 {
				a.countShard(sh, first+int64(m), m == 0, shared, seen, counts)
			}
		}
	}
}

// countShard counts whole days of a month in UTC: from the shard's own counts, and one by one only what others share.
func (a *asked) countShard(sh shard, month int64, isFirst bool, shared byte, seen once, counts []int) {
	begin := monthBegin(month)
	from, to := 1, 32 // days of the month
	if a.from > begin {
		from = int((a.from-begin)/86400) + 1
	}
	if end := monthBegin(month + 1); a.to < end {
		to = int((a.to-begin)/86400) + 1
	}
	at := int((begin-a.from)/86400) - 1 // of the month's first day among the window's, less one
	one := func(i, d int) {
		if sh.flags(i)&flagJoint == 0 && shared != 0 {
			return // it was counted
		}
		if shared == 0 || !seen.seen(sh, i) {
			counts[d]++
		}
	}
	if isFirst {
		for i := range sh.day(from) {
			if sh.end(i) > a.from && (sh.flags(i)&flagJoint == 0 || shared == 0 || !seen.seen(sh, i)) {
				counts[0]++
			}
		}
	}
	for d := from; d < to; d++ {
		i, n := sh.day(d), sh.day(d+1)
		if i == n {
			continue
		}
		if shared == 0 {
			counts[at+d] += n - i
			continue
		}
		counts[at+d] += sh.alone(d)
		if sh.has(hasJoint) {
			for ; i < n; i++ {
				one(i, at+d)
			}
		}
	}
}

// oneType says whether all subscribers are of one type; they are sorted.
func oneType(subscribers []string) bool {
	if len(subscribers) == 0 {
		return true
	}
	typ, _, _ := strings.Cut(subscribers[0], "/")
	return strings.HasPrefix(subscribers[len(subscribers)-1], typ+"/")
}

// busy are the times at which a subscriber is busy, in order, without overlaps.
func (a *asked) busy(list [][2]int64, months []shard) [][2]int64 {
	a.each(months, func(sh shard, i int) {
		start, end := sh.start(i), sh.end(i)
		if sh.flags(i)&(flagFree|flagGone) != 0 || end == start {
			return
		}
		from, to := max(start, a.from), min(end, a.to)
		if n := len(list); n > 0 && from <= list[n-1][1] {
			list[n-1][1] = max(list[n-1][1], to)
		} else {
			list = append(list, [2]int64{from, to})
		}
	})
	return list
}

func appendInstant(b []byte, instant int64) []byte {
	var room [20]byte
	c := ical.Civil(instant).Append(room[:0])
	b = append(append(append(append(append(b, c[:4]...), '-'), c[4:6]...), '-'), c[6:8]...)
	b = append(append(append(append(append(append(b, 'T'), c[9:11]...), ':'), c[11:13]...), ':'), c[13:15]...)
	return append(b, 'Z')
}

// freebusy writes when each subscriber is busy.
func (a *asked) freebusy(w io.Writer, list [][]shard) error {
	out := newSink(w, 256*len(list)+256)
	out.b = append(out.b, `{"subscribers":[`...)
	var times [][2]int64
	for i, months := range list {
		if i > 0 {
			out.b = append(out.b, ',')
		}
		out.b = append(append(append(out.b, `{"subscriber":"`...), a.subscribers[i]...), `","busy":[`...)
		times = a.busy(times[:0], months)
		for k, t := range times {
			if k > 0 {
				out.b = append(out.b, ',')
			}
			out.b = appendInstant(append(out.b, `{"start":"`...), t[0])
			out.b = append(appendInstant(append(out.b, `","end":"`...), t[1]), `"}`...)
			out.more()
		}
		out.b = append(out.b, "]}"...)
	}
	out.b = append(out.b, "]}"...)
	out.send()
	return nil
}

// heat writes for how many minutes each subscriber is busy on each day.
func (a *asked) heat(w io.Writer, list [][]shard) error {
	dates, begins := a.dates()
	out := newSink(w, 128*len(list)+1024)
	out.b = append(out.b, `{"days":[`...)
	for d, date := range dates {
		if d > 0 {
			out.b = append(out.b, ',')
		}
		out.b = append(append(append(out.b, '"'), date...), '"')
	}
	out.b = append(out.b, `],"subscribers":[`...)
	seconds := make([]int64, len(dates))
	var times [][2]int64
	for i, months := range list {
		clear(seconds)
		times = a.busy(times[:0], months)
		for _, t := range times {
			for d := dayOf(begins, t[0]); d < len(dates) && begins[d] < t[1]; d++ {
				seconds[d] += min(t[1], begins[d+1]) - max(t[0], begins[d])
			}
		}
		if i > 0 {
			out.b = append(out.b, ',')
		}
		out.b = append(append(append(out.b, `{"subscriber":"`...), a.subscribers[i]...), `","minutes":[`...)
		for d, n := range seconds {
			if d > 0 {
				out.b = append(out.b, ',')
			}
			out.b = strconv.AppendInt(out.b, n/60, 10)
		}
		out.b = append(out.b, "]}"...)
		out.more()
	}
	out.b = append(out.b, "]}"...)
	out.send()
	return nil
}
