package sqlite

import (
	"sync"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// What the library takes for all connections of the process. Pages come from one pool of slots that fit them: by themselves they would take the double, since the
// allocator beneath rounds up to powers of two. While the pool is short each cache makes do with the pages that it has. A connection's room
// for small allocations is smaller than usual: a thousand of them are open.
const (
	poolPages     = 24 << 10 // of a page and its header each
	slotHeader    = 320      // at least what SQLITE_CONFIG_PCACHE_HDRSZ says
	lookasideSize = 256
	lookasideRoom = 32
)

//nolint:gochecknoglobals // the library's settings are the process's
var settled sync.Once

// settle sets them before the library is first used; where it was used already they stay as they were.
func settle() {
	settled.Do(func() {
		tls := libc.NewTLS()
		defer tls.Close()
		const slot = pageSize + slotHeader
		if pool := libc.Xmalloc(tls, poolPages*slot); pool != 0 {
			set(tls, lib.SQLITE_CONFIG_PAGECACHE, pool, int32(slot), int32(poolPages))
		}
		set(tls, lib.SQLITE_CONFIG_LOOKASIDE, int32(lookasideSize), int32(lookasideRoom))
	})
}

func set(tls *libc.TLS, option int32, args ...any) {
	list := libc.NewVaList(args...)
	if list == 0 {
		return
	}
	defer libc.Xfree(tls, list)
	_ = lib.Xsqlite3_config(tls, option, list)
}
