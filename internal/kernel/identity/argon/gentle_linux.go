package argon

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// giveWay has the kernel run all threads only on what other processes leave idle (SCHED_IDLE, sched(7)): one of theirs that wakes takes the CPU at once. Threads that are
// made later have it from these. Where that is not allowed they get the lowest priority; where that is not either, nothing is lost but speed of others.
func giveWay() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0) != nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, tid, 19)
		}
	}
}
