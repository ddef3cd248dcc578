package server

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// A rejected caller that neither reads nor closes is disconnected.
func TestRefusalLimit(t *testing.T) {
	s, err := store.Open(store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	refused := newRefusedConn(ours, s.Spare())
	_ = theirs.SetDeadline(time.Now().Add(refusalLimit + 5*time.Second))
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want the end of the connection", err)
	}
	if err := refused.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
