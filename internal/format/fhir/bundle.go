package fhir

import (
	"io"
	"strconv"
	"sync"
	"time"

	"ward/internal/format/jsontape"
)

// The types of bundles that a server answers with (valueset-bundle-type.html).
const (
	Searchset           = "searchset"
	HistoryBundle       = "history"
	BatchResponse       = "batch-response"
	TransactionResponse = "transaction-response"
	Collection          = "collection"
)

// The modes of entries in a searchset (valueset-search-entry-mode.html).
const (
	Match   = "match"
	Include = "include"
	Outcome = "outcome"
)

// NoTotal is the Total of a bundle that doesn't say how many matches there are.
const NoTotal = -1

// Link is a link of a bundle: relation self, first, previous, next or last.
type Link struct{ Relation, URL string }

// BundleHead is what a bundle says before its entries.
type BundleHead struct {
	Type    string
	ID      string    // "" for none
	Updated time.Time // meta.lastUpdated, zero for none
	Total   int64     // of all matches; NoTotal when not known. Only searchset and history have one (bdl-1)
	Links   []Link
}

// BundleEntry is one entry. Resource and Outcome are JSON, taken as they are.
type BundleEntry struct {
	FullURL  string
	Resource []byte // nil when there is none
	Mode     string // in a searchset: Match, Include or Outcome
	Request  *EntryRequest
	Response *EntryResponse
}

// EntryRequest is how a version in a history came to be.
type EntryRequest struct{ Method, URL string }

// EntryResponse is what one entry of a batch or transaction was answered, or the status of a version in a history.
type EntryResponse struct {
	Status       string    // "201 Created"
	Location     string    // "" for none
	ETag         string    // W/"1", "" for none
	LastModified time.Time // zero for none
	Outcome      []byte    // an OperationOutcome, nil for none
}

// flushAt is how many bytes a BundleWriter collects before it hands them on.
const flushAt = 32 << 10

// keepBuffer is the largest buffer in bytes that is kept for the next bundle.
const keepBuffer = 4 * flushAt

var bundleBuffers sync.Pool //nolint:gochecknoglobals // buffers of closed BundleWriters

// BundleWriter writes a bundle entry by entry. Make one with NewBundle, call Entry for each entry, then Close, after which it
// must not be used.
type BundleWriter struct {
	w       io.Writer
	view    View
	head    BundleHead
	buf     []byte
	pooled  *[]byte // where buf goes when the bundle is closed
	entries int
	links   bool // written
	err     error
}

// NewBundle starts a bundle on w. Resources of matches and includes are shown as the view says; with View.Pretty nothing
// is written before Close.
func NewBundle(w io.Writer, head BundleHead, view View) *BundleWriter {
	b := &BundleWriter{w: w, view: view, head: head}
	if pooled, ok := bundleBuffers.Get().(*[]byte); ok {
		b.buf, b.pooled = (*pooled)[:0], pooled
	} else {
		b.buf, b.pooled = make([]byte, 0, flushAt+4096), new([]byte)
	}
	b.view.Pretty = false
	b.head.Links = nil
	buf := append(b.buf, `{"resourceType":"Bundle"`...)
	if head.ID != "" {
		buf = jsontape.AppendQuoted(append(buf, `,"id":`...), head.ID)
	}
	if !head.Updated.IsZero() {
		buf = append(AppendInstant(append(buf, `,"meta":{"lastUpdated":"`...), head.Updated), `"}`...)
	}
	buf = jsontape.AppendQuoted(append(buf, `,"type":`...), head.Type)
	if head.Total >= 0 && (head.Type == Searchset || head.Type == HistoryBundle) {
		buf = strconv.AppendInt(append(buf, `,"total":`...), head.Total, 10)
	}
	b.buf = buf
	b.writeLinks(head.Links)
	if view.Pretty {
		b.w = &indenter{w: w}
	}
	return b
}

func (b *BundleWriter) writeLinks(links []Link) {
	if len(links) == 0 || b.links {
		return
	}
	b.links = true
	buf := append(b.buf, `,"link":[`...)
	for i, l := range links {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = jsontape.AppendQuoted(append(buf, `{"relation":`...), l.Relation)
		buf = append(jsontape.AppendQuoted(append(buf, `,"url":`...), l.URL), '}')
	}
	b.buf = append(buf, ']')
}

// Entries is the number of entries written so far.
func (b *BundleWriter) Entries() int { return b.entries }

// Entry writes an entry. The error is that of the writer below; after one all further calls return it.
func (b *BundleWriter) Entry(e *BundleEntry) error {
	if b.err != nil {
		return b.err
	}
	if b.entries == 0 {
		b.buf = append(b.buf, `,"entry":[{`...)
	} else {
		b.buf = append(b.buf, `,{`...)
	}
	b.entries++
	buf := b.buf
	mark := len(buf)
	if e.FullURL != "" {
		buf = jsontape.AppendQuoted(append(buf, `"fullUrl":`...), e.FullURL)
	}
	if e.Resource != nil {
		buf = append(sep(buf, mark), `"resource":`...)
		if e.Mode == Outcome {
			buf = append(buf, e.Resource...)
		} else {
			buf = b.view.AppendBytes(buf, e.Resource)
		}
	}
	if e.Mode != "" {
		buf = jsontape.AppendQuoted(append(sep(buf, mark), `"search":{"mode":`...), e.Mode)
		buf = append(buf, '}')
	}
	if e.Request != nil {
		buf = jsontape.AppendQuoted(append(sep(buf, mark), `"request":{"method":`...), e.Request.Method)
		buf = append(jsontape.AppendQuoted(append(buf, `,"url":`...), e.Request.URL), '}')
	}
	if e.Response != nil {
		buf = appendResponse(append(sep(buf, mark), `"response":`...), e.Response)
	}
	b.buf = append(buf, '}')
	if len(b.buf) >= flushAt {
		b.flush()
	}
	return b.err
}

func appendResponse(dst []byte, r *EntryResponse) []byte {
	dst = jsontape.AppendQuoted(append(dst, `{"status":`...), r.Status)
	if r.Location != "" {
		dst = jsontape.AppendQuoted(append(dst, `,"location":`...), r.Location)
	}
	if r.ETag != "" {
		dst = jsontape.AppendQuoted(append(dst, `,"etag":`...), r.ETag)
	}
	if !r.LastModified.IsZero() {
		dst = append(AppendInstant(append(dst, `,"lastModified":"`...), r.LastModified), '"')
	}
	if r.Outcome != nil {
		dst = append(append(dst, `,"outcome":`...), r.Outcome...)
	}
	return append(dst, '}')
}

func (b *BundleWriter) flush() {
	if b.err == nil {
		_, b.err = b.w.Write(b.buf)
	}
	b.buf = b.buf[:0]
}

// Close ends the bundle. Links that only the entries told (next) may be given here, when the head had none.
func (b *BundleWriter) Close(links ...Link) error {
	if b.entries > 0 {
		b.buf = append(b.buf, ']')
	}
	b.writeLinks(links)
	b.buf = append(b.buf, '}')
	b.flush()
	if p, ok := b.w.(*indenter); ok && b.err == nil {
		b.err = p.close()
	}
	if b.pooled != nil && cap(b.buf) <= keepBuffer {
		*b.pooled = b.buf[:0]
		bundleBuffers.Put(b.pooled)
	}
	b.buf, b.pooled = nil, nil
	return b.err
}

// indenter keeps everything and writes it indented at the end.
type indenter struct {
	w   io.Writer
	buf []byte
}

func (p *indenter) Write(b []byte) (int, error) {
	p.buf = append(p.buf, b...)
	return len(b), nil
}

func (p *indenter) close() error {
	_, err := p.w.Write(jsontape.AppendIndent(nil, p.buf))
	return err
}
