package oauth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// remembering is a memory over a feed that is current.
func remembering(t testing.TB) (m *remembered, clock *storetest.Clock) {
	t.Helper()
	b := storetest.Embedded(t)
	s := b.Open(t, func(o *store.Options) { o.Feed = true })
	m = newRemembered(s.Feed(), b.Clock.Now)
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ran })
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := s.Feed().Poll(t.Context(), feed.Question{Arrived: time.Now()}); err == nil {
			return m, b.Clock
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func digestOf(text string) presentedDigest { return sha256.Sum256([]byte(text)) }

// billing is a client that has authenticated by a secret.
func billing() subscriber {
	return subscriber{ClientID: "billing", Depends: []feed.Handle{feed.OfAuthentication("billing"), feed.OfClient("billing")}}
}

// knows is whether the text is remembered. The feed may be late on a busy machine: then nothing is.
func knows(t *testing.T, m *remembered, text string, want bool) bool {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		_, got := m.client(digestOf(text))
		if got == want || got {
			return got
		}
		if m.feed.IsCurrent(rememberedAge) {
			_, got = m.client(digestOf(text))
			return got
		}
		_, _ = m.feed.Poll(t.Context(), feed.Question{Arrived: time.Now()})
	}
	return !want
}

func TestRememberedEnds(t *testing.T) {
	m, clock := remembering(t)
	token := subscriber{ClientID: "billing", Depends: []feed.Handle{feed.OfCredential(store.DigestOf("t")), feed.OfClient("billing")}}
	expiring := billing()
	expiring.Until = clock.Now().Add(10 * time.Second)
	for name, tt := range map[string]struct {
		who  subscriber
		ends func()
		kept bool
	}{
		"nothing happens":              {billing(), func() {}, true},
		"59 s go by":                   {billing(), func() { clock.Advance(59 * time.Second) }, true},
		"a minute goes by":             {billing(), func() { clock.Advance(time.Minute) }, false},
		"the secret expires":           {expiring, func() { clock.Advance(10 * time.Second) }, false},
		"the client changes":           {billing(), func() { m.forget([]feed.Handle{feed.OfClient("billing")}, false) }, false},
		"a secret is revoked":          {billing(), func() { m.forget([]feed.Handle{feed.OfAuthentication("billing")}, false) }, false},
		"another client changes":       {billing(), func() { m.forget([]feed.Handle{feed.OfClient("orders")}, false) }, true},
		"the token is revoked":         {token, func() { m.forget([]feed.Handle{feed.OfCredential(store.DigestOf("t"))}, false) }, false},
		"a secret, but not the token":  {token, func() { m.forget([]feed.Handle{feed.OfAuthentication("billing")}, false) }, true},
		"everything is void":           {billing(), func() { m.forget(nil, true) }, false},
		"it depends on nothing at all": {subscriber{ClientID: "billing"}, func() {}, false},
	} {
		expiring.Until = clock.Now().Add(10 * time.Second)
		if !tt.who.Until.IsZero() {
			tt.who = expiring
		}
		m.add(digestOf(name), tt.who, m.begin())
		tt.ends()
		if got := knows(t, m, name, tt.kept); got != tt.kept {
			t.Errorf("%s: remembered is %v, want %v", name, got, tt.kept)
		}
		m.forget(nil, true)
	}
	if len(m.known) > 0 || len(m.by) > 0 {
		t.Errorf("%d and %d are left", len(m.known), len(m.by))
	}
}

// What was revoked while the client was authenticated may have been read before.
func TestRememberedRaces(t *testing.T) {
	m, _ := remembering(t)
	for name, tt := range map[string]struct {
		meanwhile func()
		kept      bool
	}{
		"the client":         {func() { m.forget([]feed.Handle{feed.OfUser("u"), feed.OfClient("billing")}, false) }, false},
		"another client":     {func() { m.forget([]feed.Handle{feed.OfClient("orders")}, false) }, true},
		"everything":         {func() { m.forget(nil, true) }, false},
		"more than is kept":  {func() { m.forget(make([]feed.Handle, maxForgotten+1), false) }, false},
		"as much as is kept": {func() { m.forget(make([]feed.Handle, maxForgotten), false) }, true},
		"the client, and much": {func() {
			m.forget([]feed.Handle{feed.OfClient("billing")}, false)
			m.forget(make([]feed.Handle, maxForgotten-1), false)
		}, false},
	} {
		before := m.begin()
		tt.meanwhile()
		m.add(digestOf(name), billing(), before)
		if got := knows(t, m, name, tt.kept); got != tt.kept {
			t.Errorf("%s was void meanwhile: remembered is %v, want %v", name, got, tt.kept)
		}
	}
}

// Without looks at the feed, nothing is remembered.
func TestRememberedNeedsTheFeed(t *testing.T) {
	b := storetest.Embedded(t)
	m := newRemembered(b.Open(t, func(o *store.Options) { o.Feed = true }).Feed(), b.Clock.Now)
	m.add(digestOf("a"), billing(), m.begin())
	if _, ok := m.client(digestOf("a")); ok {
		t.Error("remembered although nothing looks")
	}
}

func TestRememberedIsBounded(t *testing.T) {
	m, _ := remembering(t)
	for i := range 2 * maxOfClient {
		m.add(digestOf(fmt.Sprint(i)), billing(), m.begin())
	}
	if len(m.known) != maxOfClient {
		t.Errorf("one client has %d, want %d", len(m.known), maxOfClient)
	}
	for i := range maxRemembered + 100 {
		id := fmt.Sprint("client ", i)
		m.add(digestOf(id), subscriber{ClientID: id, Depends: []feed.Handle{feed.OfClient(id)}}, m.begin())
	}
	if len(m.known) != maxRemembered || len(m.by) > maxRemembered+2 {
		t.Errorf("%d are known, by %d handles", len(m.known), len(m.by))
	}
}
