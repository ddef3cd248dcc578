//go:build !unix

package fdreserve

import "net"

// unread is not known.
func unread(*net.TCPConn) bool { return false }
