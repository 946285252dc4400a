package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// Driver keeps bytes under names, which are valid keys. Its errors are faults, as doc.go lists them.
type Driver interface {
	// Put stores all of r atomically and durably; when r fails, or ctx ends, nothing is changed. size is how many bytes r gives, -1 when not known.
	Put(ctx context.Context, name string, r io.Reader, size int64) error
	// Open gives a span of what is under name; one that begins at or after the end is empty.
	//
	// Errors: NotFound, Precondition when another version is there.
	Open(ctx context.Context, name string, s Span) (Opened, error)
	// Delete removes what is under name; nothing there is fine.
	Delete(ctx context.Context, name string) error
	// List gives the names that begin with prefix, in ascending order of their bytes, those after the name after. prefix ends with a slash.
	List(ctx context.Context, prefix, after string) iter.Seq2[Entry, error]
	// Check says whether blobs can be kept now.
	Check(ctx context.Context) error
}

// Span is a part of what is under a name.
type Span struct {
	Offset  int64  // bytes; negative counts from the end
	Length  int64  // bytes; negative is: to the end
	Version string // must be there; empty for any
}

// Opened is what a driver gives to read.
type Opened struct {
	Body    io.ReadCloser
	Total   int64  // bytes under the name
	Version string // changes whenever something is put under the name
}

// Entry is a name and its size in bytes, trailer included.
type Entry struct {
	Name string
	Size int64
}

// Info describes a blob.
type Info struct {
	Key       string
	Size      int64 // bytes
	Stored    time.Time
	SHA256    [sha256.Size]byte
	MediaType string // empty when it was not given
}

// Listed is a key with its size in bytes.
type Listed struct {
	Key  string
	Size int64
}

// Deps are what a store works with.
type Deps struct {
	Driver Driver
	Clock  clock.Clock
}

// Store keeps blobs. It is safe for use by many goroutines.
type Store struct {
	driver Driver
	clock  clock.Clock
}

// New makes a store.
func New(deps Deps) *Store {
	if deps.Clock == nil {
		deps.Clock = clock.System()
	}
	return &Store{driver: deps.Driver, clock: deps.Clock}
}

// MaxKey is the longest key, in bytes.
const MaxKey = 512

// root is the folder of the scope: "t/" and the tenant's number, or "system".
func root(ctx context.Context) (string, error) {
	s, ok := scope.From(ctx)
	switch {
	case !ok || !s.Valid():
		return "", fault.Internal("the blob store was asked without a scope")
	case s.System:
		return "system/", nil
	default:
		return "t/" + strconv.Itoa(int(s.Tenant.ID)) + "/", nil
	}
}

func name(ctx context.Context, key string) (string, error) {
	folder, err := root(ctx)
	if err != nil {
		return "", err
	}
	if err := CheckKey(key); err != nil {
		return "", err
	}
	return folder + key, nil
}

// CheckKey says what is wrong with a key.
//
// Errors: Invalid.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fault.Invalid("a blob's key has %d bytes: it must have 1 to %d", len(key), MaxKey)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." || len(segment) > 200 {
			return fault.Invalid("a blob's key must be segments of 1 to 200 characters, joined by /, none of them . or ..")
		}
		for i := range len(segment) {
			c := segment[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
				return fault.Invalid("a blob's key has a character at %d that is not one of A-Z a-z 0-9 . _ - /", i+1)
			}
		}
	}
	return nil
}

// Put keeps all of r under key, in place of what was there. size is how many bytes r gives, -1 when not known; a stream that gives another number is
// refused.
func (s *Store) Put(ctx context.Context, key, mediaType string, r io.Reader, size int64) (info Info, err error) {
	defer fault.Op(&err, "blob.Put", key)
	n, err := name(ctx, key)
	if err != nil {
		return Info{}, err
	}
	if len(mediaType) > maxMediaType {
		return Info{}, fault.Invalid("a media type of %d bytes: it may have %d", len(mediaType), maxMediaType)
	}
	w := &sealing{r: r, hash: sha256.New(), declared: size, info: Info{Key: key, MediaType: mediaType, Stored: s.clock.Now().UTC().Truncate(time.Millisecond)}}
	total := int64(-1)
	if size >= 0 {
		total = size + trailerSize
	}
	if err := s.driver.Put(ctx, n, w, total); err != nil {
		if w.failed != nil {
			return Info{}, w.failed
		}
		return Info{}, err
	}
	if !w.done() {
		return Info{}, fault.Internal("the driver did not read the whole stream")
	}
	return w.info, nil
}

// Get gives a blob's content from its beginning. Reading to the end verifies it: where the content is not what was put, the last Read gives an error
// instead of io.EOF.
func (s *Store) Get(ctx context.Context, key string) (r io.ReadCloser, info Info, err error) {
	defer fault.Op(&err, "blob.Get", key)
	var body io.ReadCloser
	info, body, err = s.open(ctx, key, func(i Info) (offset, length int64, err error) { return 0, i.Size, nil })
	if err != nil {
		return nil, Info{}, err
	}
	return &verifying{body: body, hash: sha256.New(), want: info, left: info.Size}, info, nil
}

// open reads the trailer, then the part of the content that span chooses, of one and the same version.
func (s *Store) open(ctx context.Context, key string, span func(Info) (offset, length int64, err error)) (Info, io.ReadCloser, error) {
	n, err := name(ctx, key)
	if err != nil {
		return Info{}, nil, err
	}
	for {
		info, version, err := s.head(ctx, n, key)
		if err != nil {
			return Info{}, nil, err
		}
		offset, length, err := span(info)
		if err != nil {
			return Info{}, nil, err
		}
		if length == 0 {
			return info, io.NopCloser(strings.NewReader("")), nil
		}
		o, err := s.driver.Open(ctx, n, Span{offset, length, version})
		if fault.Is(err, fault.CodePrecondition) {
			continue // replaced in between
		}
		return info, o.Body, err
	}
}

// Range gives length bytes of a blob's content from offset, fewer when it ends before. They are not verified.
//
// Errors: also Invalid when offset or length is negative or the blob ends before offset.
func (s *Store) Range(ctx context.Context, key string, offset, length int64) (r io.ReadCloser, info Info, err error) {
	defer fault.Op(&err, "blob.Range", key)
	if offset < 0 || length < 0 {
		return nil, Info{}, fault.Invalid("a range from %d of %d bytes", offset, length)
	}
	info, r, err = s.open(ctx, key, func(i Info) (int64, int64, error) {
		if offset > i.Size {
			return 0, 0, fault.Invalid("a range from %d: the blob has %d bytes", offset, i.Size)
		}
		return offset, min(length, i.Size-offset), nil
	})
	if err != nil {
		return nil, Info{}, err
	}
	return r, info, nil
}

// Head describes a blob.
func (s *Store) Head(ctx context.Context, key string) (info Info, err error) {
	defer fault.Op(&err, "blob.Head", key)
	n, err := name(ctx, key)
	if err != nil {
		return Info{}, err
	}
	info, _, err = s.head(ctx, n, key)
	return info, err
}

func (s *Store) head(ctx context.Context, name, key string) (Info, string, error) {
	o, err := s.driver.Open(ctx, name, Span{Offset: -trailerSize, Length: trailerSize})
	if err != nil {
		return Info{}, "", err
	}
	defer o.Body.Close()
	var t [trailerSize]byte
	if _, err := io.ReadFull(o.Body, t[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = errDamaged(key)
		}
		return Info{}, "", err
	}
	info, ok := decodeTrailer(t[:])
	if !ok || info.Size+trailerSize != o.Total {
		return Info{}, "", errDamaged(key)
	}
	info.Key = key
	return info, o.Version, nil
}

// Delete removes a blob; one that is not there is fine.
func (s *Store) Delete(ctx context.Context, key string) (err error) {
	defer fault.Op(&err, "blob.Delete", key)
	n, err := name(ctx, key)
	if err != nil {
		return err
	}
	return s.driver.Delete(ctx, n)
}

// List gives the scope's keys that begin with prefix, a key's leading segments or empty for all, in ascending order, those after the key after.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		folder, err := root(ctx)
		if err == nil && prefix != "" {
			err = CheckKey(prefix)
		}
		if err == nil && after != "" {
			err = CheckKey(after)
		}
		if err != nil {
			yield(Listed{}, err)
			return
		}
		p := folder
		if prefix != "" {
			p += prefix + "/"
		}
		a := ""
		if after != "" {
			a = folder + after
		}
		for e, err := range s.driver.List(ctx, p, a) {
			if err != nil {
				yield(Listed{}, err)
				return
			}
			if !yield(Listed{Key: strings.TrimPrefix(e.Name, folder), Size: max(e.Size-trailerSize, 0)}, nil) {
				return
			}
		}
	}
}

// Check says whether blobs can be kept now.
func (s *Store) Check(ctx context.Context) error { return s.driver.Check(ctx) }

func errDamaged(key string) error {
	return fault.Internal("blob %s is damaged", key)
}

// errBroken is what drivers see of a stream that broke. It never is io.ErrUnexpectedEOF, which S3 clients take for a short last part.
var errBroken = errors.New("the stream that is being put broke")

// sealing reads the content and then gives its trailer.
type sealing struct {
	r        io.Reader
	hash     hash.Hash
	declared int64
	info     Info
	trailer  []byte // what is left of it, nil before the content's end
	ended    bool
	failed   error
}

func (s *sealing) done() bool { return s.ended && len(s.trailer) == 0 }

func (s *sealing) Read(p []byte) (int, error) {
	if s.failed != nil {
		return 0, errBroken
	}
	if !s.ended {
		n, err := s.r.Read(p)
		s.hash.Write(p[:n])
		s.info.Size += int64(n)
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			s.failed = err
		case s.declared >= 0 && (s.info.Size > s.declared || err != nil && s.info.Size < s.declared):
			s.failed = fault.Invalid("the content has not the %d bytes that were announced", s.declared)
		case err != nil:
			s.ended = true
			s.hash.Sum(s.info.SHA256[:0])
			s.trailer = encodeTrailer(s.info)
		}
		if s.failed != nil {
			return 0, errBroken
		}
		if n > 0 || !s.ended {
			return n, nil
		}
	}
	if len(s.trailer) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.trailer)
	s.trailer = s.trailer[n:]
	return n, nil
}

// verifying passes the content on and gives an error at the end of one that is not what was put.
type verifying struct {
	body io.ReadCloser
	hash hash.Hash
	want Info
	left int64
	err  error
}

func (v *verifying) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.body.Read(p)
	v.hash.Write(p[:n])
	v.left -= int64(n)
	if err != nil {
		if errors.Is(err, io.EOF) && (v.left != 0 || [sha256.Size]byte(v.hash.Sum(nil)) != v.want.SHA256) {
			err = errDamaged(v.want.Key)
		}
		v.err = err
	}
	return n, err
}

func (v *verifying) Close() error {
	if err := v.body.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
