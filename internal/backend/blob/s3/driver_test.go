package s3_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ward/internal/backend/blob"
	"ward/internal/backend/blob/blobtest"
	"ward/internal/backend/blob/s3"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
)

func open(t *testing.T, url string, deps s3.Deps) *s3.Driver {
	t.Helper()
	d, err := s3.Open(url, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestDriver(t *testing.T) {
	t.Parallel()
	url := testenv.URL(t, "WARD_TEST_S3")
	blobtest.Run(t, func(t *testing.T) blob.Driver { return open(t, url, s3.Deps{}) })
}

func TestDriver_WithPrefix(t *testing.T) {
	t.Parallel()
	before, after, _ := strings.Cut(testenv.URL(t, "WARD_TEST_S3"), "?")
	ctx := scope.WithTenant(t.Context(), scope.Tenant{ID: 1, Slug: "one"})
	within := blob.New(blob.Deps{Driver: open(t, before+"/some/prefix-"+id.New()+"?"+after, s3.Deps{})})
	if _, err := within.Put(ctx, "a/k", "", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	for l, err := range within.List(ctx, "a", "") {
		if err != nil || l != (blob.Listed{Key: "a/k", Size: 1}) {
			t.Errorf("%v %v", l, err)
		}
	}
	if info, err := within.Head(ctx, "a/k"); err != nil || info.Size != 1 {
		t.Errorf("%v %v", info, err)
	}
	other := blob.New(blob.Deps{Driver: open(t, before+"/some/other?"+after, s3.Deps{})})
	if _, err := other.Head(ctx, "a/k"); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("under another prefix: %v", err)
	}
}

func TestOpen_RefusesOtherURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "s3://", "s3://a:hunter2@host", "https://host/bucket", "s3://a:hunter2@host/bucket?insecure=perhaps", "s3://a:hunter2@host/b/../c", "s3://a:hunter2@ho st/b"} {
		_, err := s3.Open(url, s3.Deps{})
		if !fault.Is(err, fault.CodeInvalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestErrors_HaveTheirCodes(t *testing.T) {
	t.Parallel()
	nobody := "s3://access:secret@127.0.0.1:1/bucket?insecure=true"
	d := open(t, nobody, s3.Deps{})
	_, openErr := d.Open(t.Context(), "k", blob.Span{Length: 1})
	for name, err := range map[string]error{
		"Check": d.Check(t.Context()), "Open": openErr, "Delete": d.Delete(t.Context(), "k"), "Put": d.Put(t.Context(), "k", strings.NewReader("x"), 1),
	} {
		if !fault.Is(err, fault.CodeUnavailable) || strings.Contains(fault.Message(err), "127.0.0.1") {
			t.Errorf("%s of a server that is not there: %v", name, err)
		}
	}
	refusing := open(t, nobody, s3.Deps{Guard: refuse{}})
	if err := refusing.Check(t.Context()); !errors.Is(err, errRefused) {
		t.Errorf("the guard was not asked: %v", err)
	}
	if err := open(t, nobody, s3.Deps{Guard: twice{}}).Put(t.Context(), "k", strings.NewReader("x"), 1); !fault.Is(err, fault.CodeInternal) {
		t.Errorf("a stream was put twice: %v", err)
	}
}

func TestErrors_OfTheServer(t *testing.T) {
	t.Parallel()
	url := testenv.URL(t, "WARD_TEST_S3")
	begin, rest, _ := strings.Cut(url, "://")
	_, place, _ := strings.Cut(rest, "@")
	host, query, _ := strings.Cut(place, "?")
	if err := open(t, begin+"://nobody:nothing@"+place, s3.Deps{}).Check(t.Context()); !fault.Is(err, fault.CodeUnavailable) {
		t.Errorf("wrong credentials: %v", err)
	}
	user, _, _ := strings.Cut(rest, "@")
	server, _, _ := strings.Cut(host, "/")
	if err := open(t, begin+"://"+user+"@"+server+"/no-such-bucket?"+query, s3.Deps{}).Check(t.Context()); !fault.Is(err, fault.CodeUnavailable) {
		t.Errorf("no such bucket: %v", err)
	}
}

var errRefused = errors.New("refused")

type refuse struct{}

func (refuse) Do(context.Context, func(context.Context) error) error { return errRefused }

type twice struct{}

func (twice) Do(ctx context.Context, call func(context.Context) error) error {
	_ = call(ctx)
	return call(ctx)
}
