package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// guard polls the feed of a store as a guard does.
type guard struct {
	t     *testing.T
	s     *store.Store
	after string
	void  []feed.Handle // since the last reset
	reset int
}

// poll sends one poll, and again while the feed does not answer.
func (g *guard) poll(wait time.Duration) *feed.Answer {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	for {
		a, err := g.s.Feed().Poll(ctx, feed.Question{After: g.after, Wait: wait, Arrived: time.Now()})
		if err != nil {
			if ctx.Err() != nil {
				g.t.Fatal(err)
			}
			continue
		}
		g.after = a.Cursor.String()
		if a.Reset {
			g.reset++
			g.void = nil
		}
		g.void = append(g.void, a.Voids.Handles()...)
		return a
	}
}

func TestFeed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t, func(o *store.Options) { o.Feed = true })
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { defer close(ran); s.Run(ctx) }()
		defer func() { stop(); <-ran }()
		create(t, s, "billing")
		g := &guard{t: t, s: s}
		if a := g.poll(0); !a.Reset || a.Fresh < 0 {
			t.Fatalf("the first answer is %+v", a)
		}
		must(t, s.DisableClient(t.Context(), "billing", store.Cause{}))
		g.poll(time.Second)
		if len(g.void) == 0 || g.void[0] != feed.OfClient("billing") {
			t.Errorf("the guard was told to forget %v", g.void)
		}
		a := g.poll(300 * time.Millisecond)
		for len(a.Voids.Handles()) > 0 { // the heartbeat has sent it again
			a = g.poll(300 * time.Millisecond)
		}
		if a.Reset || a.Fresh < 0 {
			t.Errorf("without a revocation the answer is %+v", a)
		}
	})
}
