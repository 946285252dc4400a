package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// bundleSize is how many resources Prepare sends in one transaction.
const bundleSize = 200

// Prepared says what Prepare did.
type Prepared struct {
	Resources int
	Took      time.Duration
}

// Prepare stores the population through transaction bundles over the given number of connections. People and
// encounters are put under ids of their own and may be there already; results are posted and add to those there.
// A line of progress goes to progress every second or so.
func Prepare(ctx context.Context, target Target, p Population, connections int, progress io.Writer) (Prepared, error) {
	started := time.Now()
	done := 0
	for _, phase := range phases(p) {
		n, err := phase.send(ctx, target, connections, progress)
		done += n
		if err != nil {
			return Prepared{done, time.Since(started)}, err
		}
	}
	return Prepared{done, time.Since(started)}, nil
}

// phase is resources that may be sent in any order once the phases before are stored.
type phase struct {
	name  string
	count int
	entry func(dst []byte, i int) []byte // the entry of a transaction bundle
}

func phases(p Population) []phase {
	return []phase{
		{"people", p.practitioners() + p.Patients, func(dst []byte, i int) []byte {
			if i < p.practitioners() {
				return appendPractitioner(dst, i)
			}
			i -= p.practitioners()
			return appendPut(dst, "Patient", patientID(i), func(dst []byte) []byte { return appendPatient(dst, i, patientID(i)) })
		}},
		{"encounters", p.Patients, func(dst []byte, i int) []byte {
			return appendPut(dst, "Encounter", encounterID(i), func(dst []byte) []byte { return appendEncounter(dst, i, encounterID(i)) })
		}},
		{"results", p.Observations, func(dst []byte, i int) []byte {
			patient := i % p.Patients
			m := measureOf(patient, i/p.Patients%codesPerPatient)
			return appendPost(dst, "Observation", func(dst []byte) []byte {
				return appendObservation(dst, random(3, uint64(i)), patient, p.practitioners(), m)
			})
		}},
	}
}

func appendPractitioner(dst []byte, i int) []byte {
	id := "load-practitioner-" + strconv.Itoa(i)
	return appendPut(dst, "Practitioner", id, func(dst []byte) []byte {
		dst = appendMember(dst, `{"resourceType":"Practitioner","id":"`, id)
		dst = appendMember(dst, `,"active":true,"name":[{"family":"`, families[(i*13)%len(families)])
		dst = appendMember(dst, `,"given":["`, givens[(i*7)%len(givens)])
		return append(dst, `]}]}`...)
	})
}

func appendPut(dst []byte, typ, id string, resource func([]byte) []byte) []byte {
	dst = resource(append(dst, `{"resource":`...))
	dst = append(dst, `,"request":{"method":"PUT","url":"`...)
	dst = append(dst, typ...)
	dst = append(dst, '/')
	dst = append(dst, id...)
	return append(dst, `"}}`...)
}

func appendPost(dst []byte, typ string, resource func([]byte) []byte) []byte {
	dst = resource(append(dst, `{"resource":`...))
	dst = append(dst, `,"request":{"method":"POST","url":"`...)
	dst = append(dst, typ...)
	return append(dst, `"}}`...)
}

const (
	bundleHead = `{"resourceType":"Bundle","type":"transaction","entry":[`
	bundleTail = `]}`
)

// bundle appends the transaction of the entries [from, to).
func (p phase) bundle(dst []byte, from, to int) []byte {
	dst = append(dst, bundleHead...)
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, ',')
		}
		dst = p.entry(dst, i)
	}
	return append(dst, bundleTail...)
}

func (p phase) send(ctx context.Context, target Target, connections int, progress io.Writer) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			c := newConn(target)
			c.timeout = 2 * time.Minute
			defer c.close()
			var body []byte
			for ctx.Err() == nil {
				from := int(next.Add(bundleSize)) - bundleSize
				if from >= p.count {
					return
				}
				to := min(from+bundleSize, p.count)
				body = p.bundle(body[:0], from, to)
				a, err := c.do(ctx, "POST", nil, body)
				if err == nil && a.Status != 200 {
					err = fmt.Errorf("the server answered %d: %.300s", a.Status, a.Body)
				}
				if err != nil {
					cancel(fmt.Errorf("storing %s %d to %d: %w", p.name, from, to, err))
					return
				}
				done.Add(int64(to - from))
			}
		})
	}
	finished := make(chan struct{})
	go func() { all.Wait(); close(finished) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-finished:
			fmt.Fprintf(progress, "%s: %d of %d\n", p.name, done.Load(), p.count)
			if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return int(done.Load()), err
			}
			return int(done.Load()), ctx.Err()
		case <-tick.C:
			fmt.Fprintf(progress, "%s: %d of %d\n", p.name, done.Load(), p.count)
		}
	}
}

// Write writes the population as transaction bundles, one a line, as `ward import` reads them.
func Write(out io.Writer, p Population) error {
	w := bufio.NewWriterSize(out, 1<<20)
	var line []byte
	for _, phase := range phases(p) {
		for from := 0; from < phase.count; from += bundleSize {
			line = append(phase.bundle(line[:0], from, min(from+bundleSize, phase.count)), '\n')
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}
