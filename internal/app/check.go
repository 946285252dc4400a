package app

import (
	"encoding/base64"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/proxies"
	"ward/internal/kernel/module"
	"ward/internal/kernel/observe"
)

// Check returns fault.Invalid for the first setting that can't be, naming its key and what would be right.
func (c *Config) Check() error {
	targets, err := module.ParseTargets(c.Target)
	if err != nil {
		return fault.Invalid("the setting target: %s", fault.Message(err))
	}
	if c.Data == "" {
		return fault.Invalid("the setting data is empty: name the folder of the embedded backends")
	}
	for _, a := range []struct{ key, address string }{{"http.listen", c.HTTP.Listen}, {"http.ops-listen", c.HTTP.OpsListen}} {
		if _, _, err := net.SplitHostPort(a.address); err != nil {
			return fault.Invalid("the setting %s is %q: write host:port, such as 127.0.0.1:8080 or :8080", a.key, a.address)
		}
	}
	if (c.HTTP.Certificate == "") != (c.HTTP.Key == "") {
		return fault.Invalid("TLS needs both files: set http.certificate and http.key")
	}
	if c.HTTP.ACME != "" && c.HTTP.Certificate != "" {
		return fault.Invalid("certificates come from files or by ACME: set http.certificate and http.key, or http.acme")
	}
	if c.HTTP.PublicURL != "" {
		if u, err := url.Parse(c.HTTP.PublicURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" {
			return fault.Invalid("the setting http.public-url is %q: write the address that clients use, such as https://ward.example.org", c.HTTP.PublicURL)
		}
	}
	for _, n := range []struct {
		key   string
		value int
	}{{"http.concurrency", c.HTTP.Concurrency}, {"http.queue", c.HTTP.Queue}, {"db.open-files", c.DB.OpenFiles}} {
		if n.value < 1 {
			return fault.Invalid("the setting %s is %d: it must be 1 or more", n.key, n.value)
		}
	}
	if _, err := proxies.Parse(c.HTTP.Proxies); err != nil {
		return fault.Invalid("the setting http.proxies: %s", fault.Message(err))
	}
	if _, err := observe.ParseLevel(c.Log.Level); err != nil {
		return fault.Invalid("the setting log.level: %s", fault.Message(err))
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		return fault.Invalid("the setting log.format is %q: write json or text", c.Log.Format)
	}
	if c.Trace.Ratio < 0 || c.Trace.Ratio > 1 {
		return fault.Invalid("the setting trace.ratio is %v: it must be from 0 to 1", c.Trace.Ratio)
	}
	if c.Key.Secret != "" {
		if _, err := decodeKey(c.Key.Secret); err != nil {
			return err
		}
	}
	if err := c.checkURLs(); err != nil {
		return err
	}
	return c.checkSplit(targets)
}

//nolint:gochecknoglobals // constant table
var schemes = []struct{ key, embedded, remote, example string }{
	{"db.url", "sqlite", "postgres", "postgres://ward:password@db:5432/ward"},
	{"bus.url", "nats:embedded", "nats", "nats://nats:4222"},
	{"cache.url", "memory", "redis", "redis://redis:6379"},
	{"blob.url", "file", "s3", "s3://key:secret@s3.example.org/bucket"},
}

func (c *Config) urls() []string {
	return []string{c.DBURL(), c.Bus.URL, c.Cache.URL, c.BlobURL()}
}

// DBURL is db.url with its default.
func (c *Config) DBURL() string {
	if c.DB.URL == "" {
		return "sqlite:" + c.Data
	}
	return c.DB.URL
}

// BlobURL is blob.url with its default.
func (c *Config) BlobURL() string {
	if c.Blob.URL == "" {
		return "file:" + filepath.Join(c.Data, "blobs")
	}
	return c.Blob.URL
}

// Embedded says which backends are embedded: db, bus, cache and blob in this order.
func (c *Config) Embedded() [4]bool {
	var out [4]bool
	for i, u := range c.urls() {
		out[i] = u == schemes[i].embedded || scheme(u) == schemes[i].embedded
	}
	return out
}

func scheme(u string) string {
	s, _, _ := strings.Cut(u, ":")
	switch s {
	case "postgresql":
		return "postgres"
	case "rediss":
		return "redis"
	case "tls":
		return "nats"
	default:
		return s
	}
}

func (c *Config) checkURLs() error {
	embedded := c.Embedded()
	for i, u := range c.urls() {
		if !embedded[i] && (scheme(u) != schemes[i].remote || !strings.Contains(u, "://")) {
			return fault.Invalid("the setting %s is %q: write %s, or an address such as %s", schemes[i].key, masked("url", u), embeddedExample(i), schemes[i].example)
		}
	}
	return nil
}

func embeddedExample(i int) string {
	return [...]string{"sqlite:FOLDER", "nats:embedded", "memory:", "file:FOLDER"}[i]
}

// checkSplit refuses a process that runs only some targets on backends that only it can reach. The cache may stay in
// memory: the processes tell each other over the bus what changed.
func (c *Config) checkSplit(targets module.Target) error {
	if targets&module.All == module.All {
		return nil
	}
	var set []string
	for i, embedded := range c.Embedded() {
		if embedded && schemes[i].key != "cache.url" {
			set = append(set, schemes[i].key+" to "+schemes[i].example)
		}
	}
	if len(set) > 0 {
		return fault.Invalid("target %s runs a part of Ward, so its backends must be reachable by the other parts: set %s, or set target to all",
			c.Target, strings.Join(set, ", "))
	}
	if c.Key.Secret == "" {
		return fault.Invalid("target %s runs a part of Ward, so all parts need the same key: set key.secret to 32 random bytes in base64 (openssl rand -base64 32)", c.Target)
	}
	return nil
}

func decodeKey(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		b, err = base64.RawURLEncoding.DecodeString(strings.TrimSpace(text))
	}
	if err != nil || len(b) != 32 {
		return nil, fault.Invalid("the setting key.secret must be 32 random bytes in base64, such as `openssl rand -base64 32` prints")
	}
	return b, nil
}
