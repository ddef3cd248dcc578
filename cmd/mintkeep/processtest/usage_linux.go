package processtest

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is that of a process, by its clock (clock_getcpuclockid(3)). The times in /proc/PID/stat are sampled a hundred
// times a second, which misses what runs for a moment only.
func processorTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of Linux
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
