package app

import (
	"ward/internal/backend/cache"
	"ward/internal/backend/db"
)

// measure registers what the backends count about themselves.
func (a *App) measure() {
	m := a.metrics
	for _, g := range []struct {
		name, help string
		value      func(s db.Stats) int64
	}{
		{"ward_db_reads", "Reads of the database since the start.", func(s db.Stats) int64 { return s.Reads }},
		{"ward_db_queries", "Statements and lookups of those reads.", func(s db.Stats) int64 { return s.Queries }},
		{"ward_db_writes", "Writes of the database since the start.", func(s db.Stats) int64 { return s.Writes }},
		{"ward_db_commits", "Commits since the start; one may carry many writes.", func(s db.Stats) int64 { return s.Commits }},
		{"ward_db_retries", "Writes run again after a serialisation failure.", func(s db.Stats) int64 { return s.Retries }},
		{"ward_db_failures", "Calls that the database failed.", func(s db.Stats) int64 { return s.Failures }},
		{"ward_db_in_flight", "Calls of the database under way.", func(s db.Stats) int64 { return s.InFlight }},
		{"ward_db_connections", "Open connections.", func(s db.Stats) int64 { return s.Connections }},
		{"ward_db_open_files", "Open SQLite databases.", func(s db.Stats) int64 { return s.OpenFiles }},
		{"ward_db_wal_pages", "Pages in the largest WAL.", func(s db.Stats) int64 { return s.WALPages }},
	} {
		m.GaugeFunc(g.name, g.help, func() float64 { return float64(g.value(a.Backends.DB.Stats())) })
	}
	m.GaugeFunc("ward_calendar_reads", "Reads of calendars that were answered.", func() float64 { return float64(a.Events.Stats().Reads) })
	m.GaugeFunc("ward_calendar_queries", "Statements that those sent to the database.", func() float64 { return float64(a.Events.Stats().Queries) })
	for _, g := range []struct {
		name, help string
		value      func(s cache.Stats) float64
	}{
		{"ward_cache_hits", "Answers from the cache since the start.", func(s cache.Stats) float64 { return float64(s.Hits) }},
		{"ward_cache_misses", "Answers that were not in the cache.", func(s cache.Stats) float64 { return float64(s.Misses) }},
		{"ward_cache_stale", "Answers found but no longer true.", func(s cache.Stats) float64 { return float64(s.Stale) }},
		{"ward_cache_bypassed", "Answers not looked up because other processes could not be heard.", func(s cache.Stats) float64 { return float64(s.Bypassed) }},
		{"ward_cache_bytes", "Memory of the cache.", func(s cache.Stats) float64 { return float64(s.Bytes) }},
	} {
		m.GaugeFunc(g.name, g.help, func() float64 { return g.value(a.Backends.Cache.Stats()) })
	}
}
