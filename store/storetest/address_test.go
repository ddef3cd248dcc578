package storetest

import "testing"

// A port that is reserved is not given to another test, also while nothing listens there.
func TestReservedPorts(t *testing.T) {
	given := map[int]bool{}
	for range 400 {
		p, err := reservePort()
		if err != nil {
			t.Fatal(err)
		}
		defer p.release()
		if given[p.number] {
			t.Fatalf("port %d is given twice", p.number)
		}
		given[p.number] = true
		if p.number < firstPort || p.number >= 32_768 {
			t.Errorf("port %d may be given to an outgoing connection", p.number)
		}
	}
}
