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
		over, retryAfter := s.CountFailure(t.Context(), store.ClientFailures, name, netip.MustParseAddr(address))
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
	t.Parallel()
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
	t.Parallel()
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

// What a caller names at one place is no name at another, and an address that fails at sign-in fails there alone.
func TestFailureBuckets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, from := b.Open(t), netip.MustParseAddr("192.0.2.1")
		count := func(bucket store.FailureBucket, name string) bool {
			over, _ := s.CountFailure(t.Context(), bucket, name, from)
			return over
		}
		for i := range 301 {
			for _, name := range []string{"sign-in ada", "sign-in\x00ada", "sign-in:ada", "ada"} {
				count(store.ClientFailures, name)
				count(store.BearerFailures, fmt.Sprint(name, i))
			}
		}
		if !count(store.ClientFailures, "ada") || !count(store.BearerFailures, "") {
			t.Error("the address is not over its limit")
		}
		for range 10 {
			if count(store.SignInFailures, "ada") {
				t.Fatal("failures of clients count against a sign-in")
			}
		}
		if !count(store.SignInFailures, "ada") {
			t.Error("the eleventh failure to sign in is not over the limit")
		}
		b.Clock.Advance(time.Minute)
		for i := range 301 {
			count(store.SignInFailures, fmt.Sprint(i))
		}
		if !count(store.SignInFailures, "ada") || count(store.ClientFailures, "ada") {
			t.Error("failures to sign in count against clients")
		}
	})
}

// A success takes back what was counted before it.
func TestCountAttempt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, from := b.Open(t), netip.MustParseAddr("192.0.2.1")
		for i := range 320 {
			over, _, uncount := s.CountAttempt(t.Context(), store.SignInFailures, "ada", from)
			if over {
				t.Fatalf("success %d is over the limit", i)
			}
			if i == 319 {
				b.Clock.Advance(time.Minute) // later than its window
			}
			uncount(t.Context())
		}
		b.Clock.Advance(time.Minute)
		if keys := b.Dump(t).Keys(); len(keys) > 0 {
			t.Errorf("left behind: %v", keys)
		}
	})
}

// What was counted while Redis did not answer is taken back where it was counted: in this process. Failures stay counted.
func TestCountAttemptWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	s, from := redis.Backend(t).Open(t), netip.MustParseAddr("192.0.2.1")
	redis.Stop()
	for i := range 20 {
		over, _, uncount := s.CountAttempt(t.Context(), store.SignInFailures, "ada", from)
		if over {
			t.Fatalf("success %d is over the limit", i)
		}
		uncount(t.Context())
	}
	for i := range 11 {
		if over, _ := s.CountFailure(t.Context(), store.SignInFailures, "ada", from); over != (i == 10) {
			t.Errorf("failure %d: over %v", i+1, over)
		}
	}
}

// An address that is over its limit leaves no counter for each name that it tries.
func TestCountFailureFillsNothing(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := b.Open(t)
	fail(t, 1_000, "192.0.2.1", func(i int) (*store.Store, string) { return s, fmt.Sprint("client", i) })
	if n := len(b.Dump(t).Keys()); n != 301 {
		t.Errorf("there are %d counters, want that of the address and of the first 300 names", n)
	}
}

// Rejections of a principal are counted by themselves.
func TestCountRejection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas := []*store.Store{b.Open(t), b.Open(t)}
		for i := range 12 {
			if over := replicas[i%2].CountRejection(t.Context(), "user:usr_ada"); over != (i >= 10) {
				t.Errorf("rejection %d: over %v", i+1, over)
			}
		}
		if replicas[0].CountRejection(t.Context(), "user:usr_bob") {
			t.Error("another's is over")
		}
	})
}
