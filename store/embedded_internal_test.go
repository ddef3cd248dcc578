package store

import "testing"

// Whoever can connect can read everything, so nobody may.
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
