package app

import (
	"net/url"
	"path/filepath"
	"strings"

	"ward/internal/base/fault"
)

// mayHome says whether operators may put a tenant into the database over HTTP: it is on a server or in a folder that the setting db.homes names. A
// database elsewhere would be a way to carry records out, which only who has the command line may.
//
// Errors: Denied, naming the setting.
func (c *Config) mayHome(home string) error {
	for allowed := range strings.SplitSeq(c.DB.Homes, ",") {
		if allowed = strings.TrimSpace(allowed); allowed != "" && within(home, allowed) {
			return nil
		}
	}
	return fault.Denied("a tenant can't be put there over HTTP: the setting db.homes names the servers and folders where it can, and the command line may anywhere")
}

// within says whether the database is on the server, or in the folder, that the other URL names.
func within(home, allowed string) bool {
	if folder, ok := strings.CutPrefix(allowed, "sqlite:"); ok {
		path, ok := strings.CutPrefix(home, "sqlite:")
		if !ok || !filepath.IsAbs(path) {
			return false
		}
		rel, err := filepath.Rel(folder, path)
		return err == nil && filepath.IsLocal(rel)
	}
	h, err := url.Parse(home)
	if err != nil {
		return false
	}
	a, err := url.Parse(allowed)
	if err != nil || a.Host == "" {
		return false
	}
	// A host in the query would win over that of the URL.
	return h.Scheme == a.Scheme && strings.EqualFold(h.Host, a.Host) && !h.Query().Has("host") && !h.Query().Has("port") && !h.Query().Has("service")
}
