package app

import (
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory sets the heap that the garbage collector defends: memory.limit, else GOMEMLIMIT as Go itself does, else nine
// tenths of what the container may use. GOGC stays as Go has it, or as the environment says.
func (a *App) limitMemory() {
	limit := int64(a.Config.Memory.Limit)
	if limit == 0 && os.Getenv("GOMEMLIMIT") == "" {
		limit = containerMemory() / 10 * 9
	}
	if limit > 0 {
		debug.SetMemoryLimit(limit)
		a.log.Debug("memory", slog.Int64("limit", limit))
	}
}

// containerMemory is the memory limit of the control group, in bytes; 0 without one.
func containerMemory() int64 {
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n < 1<<50 {
			return n
		}
	}
	return 0
}
