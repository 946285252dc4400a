package serve

import (
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressFrom is the size of a body, in bytes, from which compressing pays: below it the answer is one packet anyway.
const compressFrom = 1400

type encoding uint8

const (
	identity encoding = iota
	gzipped
	zstandard
)

func (e encoding) String() string {
	return [...]string{"identity", "gzip", "zstd"}[e]
}

// negotiate picks the encoding that the Accept-Encoding header (RFC 9110 §12.5.3) likes best, zstd among equals.
func negotiate(header string) encoding {
	if header == "" {
		return identity
	}
	best, bestQ := identity, 0
	for part := range strings.SplitSeq(header, ",") {
		name, parameter, _ := strings.Cut(part, ";")
		q := quality(parameter)
		var e encoding
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			e = gzipped
		case "zstd":
			e = zstandard
		default:
			continue
		}
		if q > bestQ || (q == bestQ && q > 0 && e > best) {
			best, bestQ = e, q
		}
	}
	return best
}

// quality is the weight of ";q=0.5" in thousandths; 1000 when there is none, 0 when it is malformed.
func quality(parameter string) int {
	name, value, found := strings.Cut(strings.TrimSpace(parameter), "=")
	if !found || !strings.EqualFold(strings.TrimSpace(name), "q") {
		return 1000
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return int(q * 1000)
}

// compressible says whether bodies of the media type shrink: text and JSON do, images and archives are packed already.
func compressible(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.TrimSpace(mediaType)
	return strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(mediaType, "json") || strings.HasSuffix(mediaType, "xml") ||
		mediaType == "application/javascript" || mediaType == "image/svg+xml"
}

type compressor interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

// compressors keeps encoders, which are expensive to make, between requests.
type compressors struct {
	gzip, zstd sync.Pool
}

func newCompressors() *compressors {
	return &compressors{
		gzip: sync.Pool{New: func() any {
			w, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
			if err != nil {
				panic(err) // the level is a constant that gzip knows
			}
			return w
		}},
		zstd: sync.Pool{New: func() any {
			w, err := zstd.NewWriter(io.Discard, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
				zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true))
			if err != nil {
				panic(err) // the options are constants that zstd knows
			}
			return w
		}},
	}
}

func (c *compressors) pool(e encoding) *sync.Pool {
	if e == zstandard {
		return &c.zstd
	}
	return &c.gzip
}

func (c *compressors) get(e encoding, w io.Writer) compressor {
	z := c.pool(e).Get().(compressor) // the pools hold nothing else
	z.Reset(w)
	return z
}

func (c *compressors) put(e encoding, z compressor) {
	z.Reset(io.Discard)
	c.pool(e).Put(z)
}
