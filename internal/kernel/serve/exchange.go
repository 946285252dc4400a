package serve

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// exchange is one request's answer: it notes status and size, and compresses when that pays. It is not pooled: a handler
// that kept it by mistake must never write into another tenant's answer.
type exchange struct {
	http.ResponseWriter
	server   *Server
	route    *route
	began    time.Time
	id       [1]string // the request id, in the form the header map wants
	status   int       // 0 until the handler decided
	written  int64     // bytes of the body, before compression
	accepts  encoding
	decided  bool   // the header is out
	held     []byte // the body so far, until it is known whether compressing pays
	z        compressor
	answered bool // an error has been answered in full
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader notes the status and decides whether to compress.
func (x *exchange) WriteHeader(status int) {
	if x.status != 0 {
		return // the first one counts, as in net/http
	}
	if status < 200 {
		x.ResponseWriter.WriteHeader(status)
		return
	}
	x.status = status
	if x.accepts == identity || status == http.StatusNoContent || status == http.StatusNotModified || status == http.StatusPartialContent {
		x.pass()
		return
	}
	h := x.Header()
	if !compressible(h.Get("Content-Type")) || h.Get("Content-Encoding") != "" {
		x.pass()
		return
	}
	switch length := h.Get("Content-Length"); {
	case length == "": // Write decides when there is enough
	case smaller(length, compressFrom):
		x.pass()
	default:
		x.compress()
	}
}

func smaller(length string, than int) bool {
	n, err := strconv.Atoi(length)
	return err != nil || n < than
}

func (x *exchange) pass() {
	x.decided = true
	x.ResponseWriter.WriteHeader(x.status)
}

func (x *exchange) compress() {
	h := x.Header()
	h.Del("Content-Length")
	h.Set("Content-Encoding", x.accepts.String())
	h.Add("Vary", "Accept-Encoding")
	x.z = x.server.compressors.get(x.accepts, x.ResponseWriter)
	x.pass()
}

// Write sends, compresses or, until it is known which, holds back.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	x.written += int64(len(p))
	switch {
	case x.z != nil:
		return x.z.Write(p)
	case x.decided:
		return x.ResponseWriter.Write(p)
	case len(x.held)+len(p) < compressFrom:
		x.held = append(x.held, p...)
		return len(p), nil
	}
	x.compress()
	if _, err := x.z.Write(x.held); err != nil {
		return 0, err
	}
	x.held = nil
	return x.z.Write(p)
}

// ReadFrom copies src, by the kernel where nothing is compressed.
func (x *exchange) ReadFrom(src io.Reader) (int64, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if x.z == nil && x.decided {
		n, err := io.Copy(x.ResponseWriter, src)
		x.written += n
		return n, err
	}
	return io.Copy(struct{ io.Writer }{x}, src)
}

// FlushError sends what there is, for answers that stream.
func (x *exchange) FlushError() error {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if !x.decided {
		x.compress()
		if _, err := x.z.Write(x.held); err != nil {
			return err
		}
		x.held = nil
	}
	if x.z != nil {
		if err := x.z.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(x.ResponseWriter).Flush()
}

// Flush is FlushError for those that ask for an http.Flusher.
func (x *exchange) Flush() { _ = x.FlushError() }

// finish sends what was held back and ends the compressed stream.
func (x *exchange) finish() error {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if !x.decided {
		if len(x.held) > 0 {
			x.Header().Set("Content-Length", strconv.Itoa(len(x.held)))
		}
		x.pass()
		_, err := x.ResponseWriter.Write(x.held)
		x.held = nil
		return err
	}
	if x.z == nil {
		return nil
	}
	err := x.z.Close()
	x.server.compressors.put(x.accepts, x.z)
	x.z = nil
	return err
}

// begun says whether any of the answer may have left.
func (x *exchange) begun() bool { return x.decided }

// reset forgets an answer that has not left, so that an error can take its place.
func (x *exchange) reset() {
	x.status, x.written, x.held = 0, 0, nil
	h := x.Header()
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Location"} {
		delete(h, name)
	}
}

// whole says whether the client has got all of an answer, be it an error's.
func (x *exchange) whole() bool { return x.answered }

// abandon gives up an answer that has begun; the compressor, which may hold half a block, is not used again.
func (x *exchange) abandon() { x.z = nil }
