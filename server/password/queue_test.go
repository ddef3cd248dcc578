package password

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
)

// callerKey is the context key of a caller's address.
type callerKey struct{}

// A flood of sign-ins from one network, whatever addresses of it they use, delays those from others by one hash.
func TestNetworksTakeTurns(t *testing.T) {
	for _, test := range []struct{ flood, others string }{
		{"2001:db8:0:%x::1", "2001:db8:1:%x::1"},
		{"192.0.2.%d", "198.51.100.%d"},
		{"::ffff:192.0.2.%d", "192.0.3.%d"},
	} {
		g := &gate{began: make(chan struct{}), end: make(chan struct{})}
		h := New(Options{Vault: vault(t, "a"), Cost: cheap, Parallel: 1, From: func(ctx context.Context) netip.Addr {
			return netip.MustParseAddr(ctx.Value(callerKey{}).(string))
		}})
		h.sum = g.sum
		done := make(chan string, 2*placesPerNetwork)
		call := func(address string) error {
			_, _, err := h.Verify(context.WithValue(t.Context(), callerKey{}, address), ada, nil, secret)
			done <- address
			return err
		}
		var want []string
		arrive := func(address string, ahead int) { // and wait until the queue has them
			go func() { _ = call(address) }()
			for waitingIn(&h.queue) < ahead {
				runtime.Gosched()
			}
		}
		const flood, others = placesPerNetwork, 3
		arrive(fmt.Sprintf(test.flood, 0), 0)
		<-g.began
		for i := range flood {
			arrive(fmt.Sprintf(test.flood, 1+i), 1+i)
		}
		for i := range others {
			arrive(fmt.Sprintf(test.others, i), flood+1+i)
		}
		tooMany := fmt.Sprintf(test.flood, 99)
		if err := call(tooMany); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errQueueFull) {
			t.Errorf("beyond the places of the network: %v", err)
		}
		want = append(want, tooMany)
		for i := range 1 + flood { // in turns, each network in its order
			want = append(want, fmt.Sprintf(test.flood, i))
			if 0 < i && i <= others {
				want = append(want, fmt.Sprintf(test.others, i-1))
			}
		}
		got := []string{<-done}
		for range flood + others {
			g.end <- struct{}{}
			got = append(got, <-done)
			<-g.began
		}
		g.end <- struct{}{}
		if got = append(got, <-done); !cmp.Equal(got, want) {
			t.Error(cmp.Diff(want, got))
		}
	}
}

func waitingIn(q *queue) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, of := range q.waiting {
		n += len(of)
	}
	return n
}

// The queue is bounded, also for a flood from everywhere.
func TestQueueIsBounded(t *testing.T) {
	q := &queue{waiting: map[netip.Prefix][]chan struct{}{}}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	enter := func(i int) {
		left <- q.enter(ctx, netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}))
	}
	for i := range mostNetworks {
		go enter(i)
	}
	for waitingIn(q) < mostNetworks {
		runtime.Gosched()
	}
	go enter(mostNetworks)
	if err := <-left; !errors.Is(err, errQueueFull) {
		t.Errorf("got %v, want %v", err, errQueueFull)
	}
	cancel()
	for range mostNetworks {
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
	if len(q.waiting) != 0 || len(q.turns) != 0 || q.free != 0 {
		t.Errorf("left in the queue: %d networks, %d turns, %d free", len(q.waiting), len(q.turns), q.free)
	}
}
