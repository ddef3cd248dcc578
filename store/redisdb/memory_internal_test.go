package redisdb

import "testing"

// A connection could read everything, so the embedded Redis has no listener.
func TestEmbeddedHasNoListener(t *testing.T) {
	db, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if addr := db.memory.server.Addr(); addr != nil {
		t.Errorf("the embedded Redis listens on %v", addr)
	}
}
