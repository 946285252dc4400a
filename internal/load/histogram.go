package load

import (
	"math/bits"
	"time"
)

const (
	fineBits = 7 // each power of two is cut into 128: an error of at most 0.8 %
	fine     = 1 << fineBits
)

// histogram counts latencies in nanoseconds, from 1 ns to hours, with an error below 1 %. It is used by one goroutine;
// add the workers' up at the end.
type histogram struct {
	counts [64 * fine]uint32
	n      uint64
	sum    time.Duration
	max    time.Duration
}

func (h *histogram) record(d time.Duration) {
	d = max(d, 1)
	h.counts[bucket(uint64(d))]++
	h.n++
	h.sum += d
	h.max = max(h.max, d)
}

func bucket(v uint64) int {
	if v < fine {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - fineBits
	return (shift+1)<<fineBits + int(v>>shift) - fine
}

// low is the smallest value of a bucket, and the next bucket's is one above its largest.
func low(b int) uint64 {
	if b < fine {
		return uint64(b)
	}
	shift := b>>fineBits - 1
	return uint64(b&(fine-1)+fine) << shift
}

func (h *histogram) add(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// quantile is the latency that the share q of all requests did not exceed; 0 when there were none.
func (h *histogram) quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	want := uint64(q*float64(h.n) + 0.5)
	want = min(max(want, 1), h.n)
	var seen uint64
	for b, n := range h.counts {
		if seen += uint64(n); seen >= want {
			return min(time.Duration((low(b)+low(b+1))/2), h.max)
		}
	}
	return h.max
}
