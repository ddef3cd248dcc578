package store_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// fail counts n failures and returns the number of the first above the limit; 0 if there was none.
func fail(t *testing.T, n int, address string, client func(i int) (*store.Store, string)) (first int) {
	t.Helper()
	for i := 1; i <= n; i++ {
		s, name := client(i)
		over, retryAfter := s.CountFailure(t.Context(), name, netip.MustParseAddr(address))
		if over && (retryAfter <= 0 || retryAfter > time.Minute) || !over && retryAfter != 0 {
			t.Errorf("failure %d: over %v, retry after %v", i, over, retryAfter)
		}
		if over && first == 0 {
			first = i
		}
	}
	return first
}

func TestCountFailure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas := []*store.Store{b.Open(t), b.Open(t)}
		same := func(i int) (*store.Store, string) { return replicas[i%2], "a" }
		other := func(i int) (*store.Store, string) { return replicas[i%2], "b" }

		if got := fail(t, 20, "192.0.2.1", same); got != 11 {
			t.Errorf("of a pair the first over the limit is %d, want 11", got)
		}
		if got := fail(t, 10, "192.0.2.2", same); got != 0 {
			t.Errorf("from another address, %d was over", got)
		}
		if got := fail(t, 10, "192.0.2.1", other); got != 0 {
			t.Errorf("of another client, %d was over", got)
		}
		b.Clock.Advance(time.Minute)
		if keys := b.Dump(t).Keys(); len(keys) > 0 {
			t.Errorf("left behind: %v", keys)
		}
		if got := fail(t, 20, "192.0.2.1", same); got != 11 {
			t.Errorf("in the next window: %d, want 11", got)
		}
	})
}

func TestCountFailurePerAddress(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas := []*store.Store{b.Open(t), b.Open(t)}
		each := func(i int) (*store.Store, string) { return replicas[i%2], fmt.Sprint("client", i) }
		for _, address := range []string{"192.0.2.1", "2001:db8::1"} {
			if got := fail(t, 310, address, each); got != 301 {
				t.Errorf("%s: the first over the limit is %d, want 301", address, got)
			}
		}
		// An IPv6 address counts for its /64, and IPv4 in IPv6 is IPv4.
		for address, want := range map[string]int{
			"2001:db8::ffff:1": 1, "2001:db8::1%eth0": 1, "2001:db8:0:1::1": 0, "::ffff:192.0.2.1": 1, "::ffff:192.0.2.2": 0,
		} {
			if got := fail(t, 1, address, each); got != want {
				t.Errorf("%s: got %d, want %d", address, got, want)
			}
		}
	})
}

// A credential that names no principal is counted by the caller's address.
func TestCountFailureOfUnknownPrincipal(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas := []*store.Store{b.Open(t), b.Open(t)}
		nobody := func(i int) (*store.Store, string) { return replicas[i%2], "" }
		if got := fail(t, 250, "192.0.2.1", nobody); got != 0 {
			t.Errorf("the first over the limit is %d, want none of 250", got)
		}
		if keys := b.Dump(t).Keys(); b.Server != nil && len(keys) != 1 {
			t.Errorf("counted under %q, want one", keys)
		}
		if got := fail(t, 60, "192.0.2.1", func(i int) (*store.Store, string) { return replicas[i%2], fmt.Sprint("client", i) }); got != 51 {
			t.Errorf("with names, the first over the limit is %d, want 51", got)
		}
		if got := fail(t, 1, "192.0.2.2", nobody); got != 0 {
			t.Error("from another address it is over")
		}
	})
}

// The names that callers try are not kept, for a password may be among them.
func TestCountFailureKeepsNoNames(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		fail(t, 1, "192.0.2.1", func(int) (*store.Store, string) { return s, "hunter2" })
		if keys := b.Dump(t).Find("hunter2"); keys != nil {
			t.Errorf("it is in %v", keys)
		}
	})
}

// A counter that lost its expiry, because its key expired in the middle of counting, gets one again.
func TestCountFailureAlwaysExpires(t *testing.T) {
	b := storetest.Redis(t).Backend(t)
	s := b.Open(t)
	one := func(int) (*store.Store, string) { return s, "a" }
	fail(t, 1, "192.0.2.1", one)
	for _, key := range b.Dump(t).Keys() {
		b.Do("PERSIST", key)
	}
	fail(t, 1, "192.0.2.1", one)
	var ends []bool
	for _, key := range b.Dump(t).Keys() {
		ends = append(ends, strings.HasPrefix(key, "mk:f:") && b.Do("PTTL", key).(int64) > 0)
	}
	if want := []bool{true, true}; !cmp.Equal(ends, want) {
		t.Errorf("counters that end: %v", ends)
	}
}

// While Redis is unavailable each replica counts for itself: guessing stays limited.
func TestCountFailureWithoutRedis(t *testing.T) {
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	s, other := b.Open(t), b.Open(t)
	srv.Kill()
	if got := fail(t, 12, "192.0.2.1", func(int) (*store.Store, string) { return s, "a" }); got != 11 {
		t.Errorf("the first over the limit is %d, want 11", got)
	}
	if got := fail(t, 1, "192.0.2.1", func(int) (*store.Store, string) { return other, "a" }); got != 0 {
		t.Error("another replica knows of it")
	}
	b.Clock.Advance(time.Minute)
	if got := fail(t, 1, "192.0.2.1", func(int) (*store.Store, string) { return s, "a" }); got != 0 {
		t.Error("the window does not end")
	}
}
