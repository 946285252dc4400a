package spec

// Load reads the definitions anew, for measuring.
func Load() *Definitions { return loadCore() }
