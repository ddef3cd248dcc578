package store

import (
	"fmt"
	"testing"
	"time"
)

// The counters of one process take no more memory than was meant, and keep those that still count.
func TestCountersAreBounded(t *testing.T) {
	var c counters
	now := time.Unix(1_800_000_000, 0)
	slow := limit{"slow", 2, time.Hour}
	c.count(now, []limit{slow})
	for i := range 3 * countersKept {
		if i%countersKept == 0 {
			now = now.Add(time.Minute)
		}
		c.count(now, []limit{{fmt.Sprint(i), 10, time.Second}})
		if len(c.all) > countersKept+1 {
			t.Fatalf("%d counters", len(c.all))
		}
	}
	now = now.Add(time.Minute)
	c.count(now, []limit{slow})
	if got := len(c.all); got != 1 {
		t.Errorf("%d counters are left, want 1", got)
	}
	if over, retryAfter := c.count(now, []limit{slow}); !over || retryAfter != 56*time.Minute {
		t.Errorf("the third within its hour: over %v, retry after %v", over, retryAfter)
	}
}

// A flood under ever new names evicts counters; their number does not grow.
func TestCountersInAFlood(t *testing.T) {
	var c counters
	now := time.Unix(1_800_000_000, 0)
	for i := range 2*countersKept + 10 {
		c.count(now, []limit{{fmt.Sprint(i), 10, time.Minute}})
		if len(c.all) > countersKept+1 {
			t.Fatalf("%d counters", len(c.all))
		}
	}
}
