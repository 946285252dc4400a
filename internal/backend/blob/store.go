package blob

import (
	"context"
	"crypto/sha256"
	"errors"
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

// Entry is a name and the bytes under it.
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
	f := newFraming(r, size, Info{Key: key, MediaType: mediaType, Stored: s.clock.Now().UTC().Truncate(time.Millisecond)})
	total := int64(-1)
	if size >= 0 {
		total = size + frameSize
	}
	if err := s.driver.Put(ctx, n, f, total); err != nil {
		if f.failed != nil {
			return Info{}, f.failed
		}
		return Info{}, err
	}
	if !f.done() {
		return Info{}, fault.Internal("the driver did not read the whole stream")
	}
	return f.info, nil
}

// Get gives a blob's content from its beginning, in one request. Reading to the end verifies it: where the content is not what was put, the last Read gives
// an error instead of io.EOF. info is without SHA256.
func (s *Store) Get(ctx context.Context, key string) (r io.ReadCloser, info Info, err error) {
	defer fault.Op(&err, "blob.Get", key)
	n, err := name(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	o, err := s.driver.Open(ctx, n, Span{Length: -1})
	if err != nil {
		return nil, Info{}, err
	}
	info = Info{Key: key, Size: o.Total - frameSize}
	if err := readHead(o.Body, &info); err != nil {
		_ = o.Body.Close()
		return nil, Info{}, err
	}
	return &verifying{body: o.Body, hash: sha256.New(), info: info, left: info.Size}, info, nil
}

func readHead(r io.Reader, info *Info) error {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err //nolint:wrapcheck // the driver's own
	}
	if info.Size < 0 || !decodeHead(head[:], info) {
		return errDamaged(info.Key)
	}
	return nil
}

// Range gives length bytes of a blob's content from offset, fewer when it ends before, in one request. They are not verified. size is the whole content's.
//
// Errors: also Invalid when offset or length is negative or the content ends before offset.
func (s *Store) Range(ctx context.Context, key string, offset, length int64) (r io.ReadCloser, size int64, err error) {
	defer fault.Op(&err, "blob.Range", key)
	if offset < 0 || length < 0 {
		return nil, 0, fault.Invalid("a range from %d of %d bytes", offset, length)
	}
	n, err := name(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	o, err := s.driver.Open(ctx, n, Span{Offset: headSize + offset, Length: length})
	if err != nil {
		return nil, 0, err
	}
	size = o.Total - frameSize
	if size < 0 || offset > size {
		_ = o.Body.Close()
		if size < 0 {
			return nil, 0, errDamaged(key)
		}
		return nil, 0, fault.Invalid("a range from %d: the blob has %d bytes", offset, size)
	}
	return limited{io.LimitReader(o.Body, size-offset), o.Body}, size, nil
}

// limited ends before the tail.
type limited struct {
	io.Reader
	io.Closer
}

// Head describes a blob.
func (s *Store) Head(ctx context.Context, key string) (info Info, err error) {
	defer fault.Op(&err, "blob.Head", key)
	n, err := name(ctx, key)
	if err != nil {
		return Info{}, err
	}
	for {
		head, err := s.driver.Open(ctx, n, Span{Length: headSize})
		if err != nil {
			return Info{}, err
		}
		info = Info{Key: key, Size: head.Total - frameSize}
		err = readHead(head.Body, &info)
		_ = head.Body.Close()
		if err != nil {
			return Info{}, err
		}
		tail, err := s.driver.Open(ctx, n, Span{Offset: -tailSize, Length: tailSize, Version: head.Version})
		if fault.Is(err, fault.CodePrecondition) {
			continue // replaced in between
		}
		if err != nil {
			return Info{}, err
		}
		b, err := io.ReadAll(tail.Body)
		_ = tail.Body.Close()
		if err != nil {
			return Info{}, err //nolint:wrapcheck // the driver's own
		}
		if !decodeTail(b, &info) {
			return Info{}, errDamaged(key)
		}
		return info, nil
	}
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
			if !yield(Listed{Key: strings.TrimPrefix(e.Name, folder), Size: max(e.Size-frameSize, 0)}, nil) {
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
