package redisdb

import (
	"net"
	"testing"
	"time"
)

// The pool looks whether the server has closed a connection before it uses it again, whatever deadline the last use has left.
// It does not look at one that was just used: the end of that is seen at the next read.
func TestConnectionIsLookedAt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := checkedConnection{&connection{Conn: near, of: &connections{}}, near.(*net.TCPConn)}
	defer c.Close()
	looked := func() (looked bool) {
		t.Helper()
		socket, err := c.SyscallConn()
		if err == nil {
			err = socket.Read(func(uintptr) bool { looked = true; return true })
		}
		if err != nil {
			t.Fatal(err)
		}
		return looked
	}
	_ = c.SetDeadline(time.Now().Add(-time.Second)) // as the last use may have left it
	_ = c.SetDeadline(time.Time{})
	c.readAt.Store(int64(time.Since(started) - time.Hour))
	if !looked() {
		t.Error("a connection at rest is not looked at")
	}
	c.readAt.Store(int64(time.Since(started) + time.Hour))
	if looked() {
		t.Error("a connection in use is looked at")
	}
	c.failed.Store(true) // as closeAll leaves it
	if _, err := c.SyscallConn(); err == nil {
		t.Error("a connection that is closed here is used again")
	}
	c.failed.Store(false)
	_ = far.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil || !c.failed.Load() {
		t.Error("the end of the connection is not seen")
	}
}
