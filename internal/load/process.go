package load

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// clockTick is the unit of the times in /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// usage is what a process and its children have used so far.
type usage struct {
	cpu     time.Duration
	rss     int64 // bytes now, of the process itself
	peakRSS int64 // bytes at most so far, of the process itself
}

// usageOf reads /proc. A process that is gone, or another system than Linux, gives zeros.
func usageOf(pid int) usage {
	if pid <= 0 {
		return usage{}
	}
	u := usage{cpu: cpuOf(pid)}
	u.rss, u.peakRSS = memoryOf(pid)
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range children {
		list, _ := os.ReadFile(file)
		for child := range bytes.FieldsSeq(list) {
			if n, err := strconv.Atoi(string(child)); err == nil {
				u.cpu += cpuOf(n)
			}
		}
	}
	return u
}

func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The command's name may hold spaces; the fields after its closing bracket start with number 3.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64)
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * clockTick
}

func memoryOf(pid int) (now, peak int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range bytes.Lines(status) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		switch string(name) {
		case "VmRSS":
			now, _ = strconv.ParseInt(string(fields[0]), 10, 64)
		case "VmHWM":
			peak, _ = strconv.ParseInt(string(fields[0]), 10, 64)
		}
	}
	return now << 10, peak << 10
}
