//go:build unix

package fdreserve

import (
	"math"
	"syscall"
)

// descriptorLimit is how many file descriptors the process may have open. It can change while the process runs.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	return int(min(uint64(limit.Cur), math.MaxInt)) //nolint:unconvert // signed on FreeBSD
}
