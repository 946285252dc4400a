// Package s3 keeps blobs in an S3 bucket.
//
// A blob of up to 1 MB is one request; a larger one is uploaded in parts while it streams, and appears when all of it has arrived. Every part
// carries its SHA-256, which the server verifies. Each upload of more holds one part (16 MB) in memory. The guard gives a
// breaker and a bound on calls at once; it must not retry and must not limit the time of a call, because bodies are streams:
// the client retries single requests and limits the time to connect and to answer.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ward/internal/backend/blob"
	"ward/internal/base/fault"
)

// Guard runs a call that leaves the process; kernel/resilience's Policy is one.
type Guard interface {
	Do(ctx context.Context, call func(ctx context.Context) error) error
}

// Deps are what a driver works with.
type Deps struct {
	Guard Guard // nil for none
}

// Driver implements blob.Driver. It is safe for use by many goroutines.
type Driver struct {
	core   *minio.Core
	guard  Guard
	bucket string
	prefix string // "" or ending with a slash
	idle   func()
}

const (
	oneRequest = 1 << 20  // bytes of a blob that is put in one request
	partSize   = 16 << 20 // bytes; 10,000 parts are 160 GB
	retries    = 3
	abortLimit = 5 * time.Second
	mediaType  = "application/octet-stream"
)

// Open uses the bucket of a URL: s3://access:secret@host:port/bucket/prefix?region=eu-west-1&insecure=true, where insecure means http. Without access and
// secret they come from the environment or the machine's role, as AWS defines it. It does not connect yet.
//
// Errors: Invalid when the URL is not one.
func Open(raw string, deps Deps) (*Driver, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "s3" || u.Host == "" { // its text may show the secret
		return nil, fault.Invalid("the blob store's URL can't be read: write s3://access:secret@host:port/bucket?region=eu-west-1")
	}
	bucket, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if bucket == "" {
		return nil, fault.Invalid("the blob store's URL names no bucket: write s3://access:secret@host:port/bucket")
	}
	if prefix != "" {
		if err := blob.CheckKey(prefix); err != nil {
			return nil, fault.Invalid("the blob store's URL has the prefix %q, which is not a key", prefix)
		}
		prefix += "/"
	}
	insecure := false
	if v := u.Query().Get("insecure"); v != "" {
		if insecure, err = strconv.ParseBool(v); err != nil {
			return nil, fault.Invalid("the blob store's URL has insecure=%q: write true or false", v)
		}
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second, ExpectContinueTimeout: 5 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second, DisableCompression: true, ForceAttemptHTTP2: true,
	}
	keys := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: &http.Client{Transport: transport}}})
	if secret, ok := u.User.Password(); ok {
		keys = credentials.NewStaticV4(u.User.Username(), secret, "")
	}
	region := u.Query().Get("region")
	if region == "" {
		region = "us-east-1"
	}
	core, err := minio.NewCore(u.Host, &minio.Options{Creds: keys, Secure: !insecure, Transport: transport, Region: region, MaxRetries: retries})
	if err != nil {
		return nil, fault.Invalid("the blob store's URL can't be used: check host and port")
	}
	if deps.Guard == nil {
		deps.Guard = unguarded{}
	}
	return &Driver{core: core, guard: deps.Guard, bucket: bucket, prefix: prefix, idle: transport.CloseIdleConnections}, nil
}

// Close gives idle connections back.
func (d *Driver) Close() { d.idle() }

// Put implements blob.Driver.
func (d *Driver) Put(ctx context.Context, name string, r io.Reader, _ int64) error {
	part, last, err := fill(r, oneRequest)
	if err != nil {
		return err
	}
	begun := false
	return d.guard.Do(ctx, func(context.Context) error {
		if begun {
			return fault.Internal("a stream can't be put twice: the guard must not retry")
		}
		begun = true
		if last {
			_, err := d.core.PutObject(ctx, d.bucket, d.prefix+name, bytes.NewReader(part), int64(len(part)), "", sum(part), minio.PutObjectOptions{ContentType: mediaType})
			return failed(ctx, err)
		}
		return d.putParts(ctx, d.prefix+name, io.MultiReader(bytes.NewReader(part), r))
	})
}

// putParts uploads a stream in parts. Until the last has arrived nothing is changed.
func (d *Driver) putParts(ctx context.Context, object string, r io.Reader) (err error) {
	upload, err := d.core.NewMultipartUpload(ctx, d.bucket, object, minio.PutObjectOptions{ContentType: mediaType})
	if err != nil {
		return failed(ctx, err)
	}
	defer func() {
		if err != nil { // what stays when this fails too is for the bucket's lifecycle rule
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortLimit)
			defer cancel()
			_ = d.core.AbortMultipartUpload(ctx, d.bucket, object, upload)
		}
	}()
	var parts []minio.CompletePart
	for last := false; !last; {
		var part []byte
		if part, last, err = fill(r, partSize); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err //nolint:wrapcheck // the caller's own
		}
		put, err := d.core.PutObjectPart(ctx, d.bucket, object, upload, len(parts)+1, bytes.NewReader(part), int64(len(part)), minio.PutObjectPartOptions{Sha256Hex: sum(part)})
		if err != nil {
			return failed(ctx, err)
		}
		parts = append(parts, minio.CompletePart{PartNumber: put.PartNumber, ETag: put.ETag})
	}
	_, err = d.core.CompleteMultipartUpload(ctx, d.bucket, object, upload, parts, minio.PutObjectOptions{})
	return failed(ctx, err)
}

// fill reads up to size bytes and says whether the stream ended with them.
func fill(r io.Reader, size int) (part []byte, last bool, err error) {
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(r, int64(size))); err != nil {
		return nil, false, err //nolint:wrapcheck // the stream's own
	}
	return b.Bytes(), b.Len() < size, nil
}

func sum(part []byte) string {
	h := sha256.Sum256(part)
	return hex.EncodeToString(h[:])
}

// Open implements blob.Driver.
func (d *Driver) Open(ctx context.Context, name string, s blob.Span) (blob.Opened, error) {
	options, err := rangeOf(s)
	if err != nil {
		return blob.Opened{}, fault.Internal("a range from %d of %d bytes", s.Offset, s.Length).With(err)
	}
	var o blob.Opened
	var info minio.ObjectInfo
	var header http.Header
	err = d.guard.Do(ctx, func(context.Context) (err error) { // the body outlives the call, and so does ctx
		o.Body, info, header, err = d.core.GetObject(ctx, d.bucket, d.prefix+name, options)
		return failed(ctx, err)
	})
	if fault.Is(err, fault.CodeInvalid) { // it begins after the end
		err = d.guard.Do(ctx, func(context.Context) (err error) {
			info, err = d.core.StatObject(ctx, d.bucket, d.prefix+name, minio.StatObjectOptions{})
			return failed(ctx, err)
		})
		o.Body = nothing()
	}
	if err != nil {
		return blob.Opened{}, err
	}
	o.Total, o.Version = info.Size, info.ETag
	if r := header.Get("Content-Range"); r != "" {
		_, after, _ := strings.Cut(r, "/")
		if o.Total, err = strconv.ParseInt(after, 10, 64); err != nil {
			_ = o.Body.Close()
			return blob.Opened{}, fault.Internal("the S3 server answered a range without a size")
		}
	}
	if s.Length == 0 {
		_ = o.Body.Close()
		o.Body = nothing()
	}
	o.Body = &stream{ctx: ctx, body: o.Body}
	return o, nil
}

func rangeOf(s blob.Span) (options minio.GetObjectOptions, err error) {
	switch {
	case s.Offset < 0:
		err = options.SetRange(0, s.Offset)
	case s.Length == 0:
		err = options.SetRange(s.Offset, s.Offset) // the object must be there, and its size is asked for
	case s.Length > 0:
		err = options.SetRange(s.Offset, s.Offset+s.Length-1)
	case s.Offset > 0:
		err = options.SetRange(s.Offset, 0)
	}
	if err == nil && s.Version != "" {
		err = options.SetMatchETag(s.Version)
	}
	return options, err
}

func nothing() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// stream gives the errors of a body their codes.
type stream struct {
	ctx  context.Context //nolint:containedctx // of one body
	body io.ReadCloser
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = failed(s.ctx, err)
	}
	return n, err
}

func (s *stream) Close() error { return s.body.Close() } //nolint:wrapcheck // nothing to add

// Delete implements blob.Driver.
func (d *Driver) Delete(ctx context.Context, name string) error {
	err := d.guard.Do(ctx, func(context.Context) error {
		return failed(ctx, d.core.RemoveObject(ctx, d.bucket, d.prefix+name, minio.RemoveObjectOptions{}))
	})
	if fault.Is(err, fault.CodeNotFound) {
		return nil
	}
	return err
}

// List implements blob.Driver.
func (d *Driver) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		options := minio.ListObjectsOptions{Prefix: d.prefix + prefix, Recursive: true}
		if after != "" {
			options.StartAfter = d.prefix + after
		}
		for o := range d.core.ListObjectsIter(ctx, d.bucket, options) {
			if o.Err != nil {
				yield(blob.Entry{}, failed(ctx, o.Err))
				return
			}
			name := strings.TrimPrefix(o.Key, d.prefix)
			if strings.HasSuffix(name, "/") || name <= after {
				continue // servers on file systems list folders
			}
			if !yield(blob.Entry{Name: name, Size: o.Size}, nil) {
				return
			}
		}
	}
}

// Check implements blob.Driver.
func (d *Driver) Check(ctx context.Context) error {
	return d.guard.Do(ctx, func(context.Context) error {
		there, err := d.core.BucketExists(ctx, d.bucket)
		if err == nil && !there {
			return fault.Unavailable("the S3 server has no bucket %s", d.bucket)
		}
		return failed(ctx, err)
	})
}

// failed gives the client's error its code.
func failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err() //nolint:wrapcheck // the caller's own
	}
	switch response := minio.ToErrorResponse(err); response.Code {
	case "NoSuchKey", "NotFound":
		return fault.NotFound("no such blob").With(err)
	case "PreconditionFailed":
		return fault.Precondition("the blob was replaced").With(err)
	case "InvalidRange":
		return fault.Invalid("a range outside of the blob").With(err)
	case "XMinioStorageFull", "QuotaExceeded", "InsufficientStorage":
		return fault.Full("no room for blobs").With(err)
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return fault.Unavailable("the S3 server refuses Ward's credentials").With(err)
	case "NoSuchBucket":
		return fault.Unavailable("the S3 server has no such bucket").With(err)
	default:
		if response.StatusCode == http.StatusInsufficientStorage {
			return fault.Full("no room for blobs").With(err)
		}
		return fault.Unavailable("the S3 server does not answer").Retry(time.Second).With(err)
	}
}

type unguarded struct{}

func (unguarded) Do(ctx context.Context, call func(ctx context.Context) error) error {
	return call(ctx)
}
