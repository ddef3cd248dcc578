//go:build unix

package fdreserve

import (
	"net"
	"syscall"
)

// unread is whether c has received something that was not read yet. A goroutine that waits in Read does not hinder it.
func unread(c *net.TCPConn) (found bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) { // and not Read, which would wait for that goroutine
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK) // the socket does not block
		found = err == nil && n > 0
	})
	return found
}
