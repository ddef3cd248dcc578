package guards_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A guard that may answer from memory for longer than a minute is known as long as it may, and a probe waits for it.
func TestGuardWithALongLease(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	r := start(t, b)
	r.Heard(guards.Poll{Instance: "orders-1", ClientID: "orders", Lease: time.Hour + time.Second, At: b.Clock.Now()})
	b.Clock.Advance(10 * time.Minute)
	r.wantList(t, "orders-1 current")
	id := r.probe(t)
	p, err := r.Passed(t.Context(), id, 0)
	if err != nil || p.Complete || !slices.Equal(in(p, guards.Waiting), []string{"orders-1"}) {
		t.Errorf("in its lease: %+v, %v", p, err)
	}
	b.Clock.Advance(time.Hour)
	r.wantList(t)
}
