package fdreserve

import (
	"io"
	"net"
	"testing"
	"time"
)

// A rejected caller who neither reads nor leaves is disconnected.
func TestRejectionLimit(t *testing.T) {
	r := New()
	defer r.Close()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	rejected := newRejectedConn(ours, r, errExhausted)
	_ = theirs.SetDeadline(time.Now().Add(rejectionLimit + 5*time.Second))
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want the end of the connection", err)
	}
	if err := rejected.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
