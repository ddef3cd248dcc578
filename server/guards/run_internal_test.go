package guards

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// A new guard is written at once while that is cheap.
func TestNewGuardsAreWritten(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	r := New(Options{Store: b.Open(t), Now: b.Clock.Now})
	poll := func(i int) { r.Heard(Poll{Instance: fmt.Sprint(i), ClientID: "orders", At: b.Clock.Now(), Lag: -1}) }
	for i := range fewGuards {
		poll(i)
	}
	if !r.takeNew() || r.takeNew() {
		t.Error("new guards are not written once")
	}
	if poll(0); r.takeNew() {
		t.Error("a guard that was written is new")
	}
	if poll(fewGuards); r.takeNew() {
		t.Error("one more has all of them written again")
	}
	b.Clock.Advance(Remembered + time.Second)
	poll(1)
	if r.part(b.Clock.Now()); r.takeNew() {
		t.Error("a guard that polls again is new")
	}
	if poll(fewGuards + 1); !r.takeNew() {
		t.Error("when the others are forgotten a new guard is not written")
	}
}
