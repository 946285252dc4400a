package ucum

import "sync"

// Cache keeps parsed units, the texts that are none included. The zero Cache is ready. It holds at most 4,096 codes; further ones are
// parsed each time.
type Cache struct {
	mu    sync.RWMutex
	units map[string]*Unit
}

const maxCached = 4096

// Get is the unit of that code, nil when it is none. It does not allocate for a code that was seen before.
func (c *Cache) Get(code []byte) *Unit {
	c.mu.RLock()
	u, ok := c.units[string(code)]
	c.mu.RUnlock()
	if ok || len(code) > maxCode {
		return u
	}
	u, err := Parse(string(code))
	if err != nil {
		u = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.units == nil {
		c.units = make(map[string]*Unit, 64)
	}
	if len(c.units) < maxCached {
		c.units[string(code)] = u
	}
	return u
}
