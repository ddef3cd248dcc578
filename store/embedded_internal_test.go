package store

import "testing"

// A connection could read everything, so the embedded store has no listener.
func TestEmbeddedHasNoListener(t *testing.T) {
	s, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if addr := s.mem.server.Addr(); addr != nil {
		t.Errorf("the embedded Redis listens on %v", addr)
	}
}
