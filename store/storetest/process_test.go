package storetest

import "testing"

// A server whose port another one has taken is not ready: two tests would use one Redis.
func TestPortIsTaken(t *testing.T) {
	first := Redis(t)
	dir, err := workDir()
	if err != nil {
		t.Fatal(err)
	}
	second := &process{kind: standalone, dir: dir, port: first.p.port, rdb: first.p.rdb}
	if err := second.start(); err == nil {
		_ = second.end(9)
		t.Error("a server is ready that has no port")
	}
	if err := first.p.rdb.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the other one: %v", err)
	}
}
