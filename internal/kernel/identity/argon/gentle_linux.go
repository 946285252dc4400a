package argon

import (
	"os"
	"strconv"
	"syscall"
)

// giveWay lowers the priority of all threads; those that are made later have it from them. Where it may not, nothing is lost but speed of others.
func giveWay() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, tid, 19)
		}
	}
}
