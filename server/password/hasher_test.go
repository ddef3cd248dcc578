package password

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/store"
)

const (
	ada    = "usr_ada"
	secret = "four score and seven"
)

// cheap is for tests that are about something else.
var cheap = Cost{Memory: 8, Passes: 1, Lanes: 1}

func vault(t testing.TB, masterKeys ...string) *seal.Vault {
	t.Helper()
	var keys [][]byte
	for _, k := range masterKeys {
		keys = append(keys, bytes.Repeat([]byte(k), seal.KeyBytes))
	}
	v, err := seal.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func hash(t testing.TB, h *Hasher, userID, password string) []byte {
	t.Helper()
	sealed, err := h.Hash(t.Context(), userID, password)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestVerify(t *testing.T) {
	h := New(Options{Vault: vault(t, "a"), Cost: cheap})
	sealed := hash(t, h, ada, secret)
	if again := hash(t, h, ada, secret); bytes.Equal(sealed, again) {
		t.Error("two hashes of a password are equal")
	}
	composed := hash(t, h, ada, "cr\u00e8me br\u00fbl\u00e9e")
	damaged := vault(t, "a").Seal([]byte("$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg"), sealedFor(ada))
	for name, c := range map[string]struct {
		h        *Hasher
		userID   string
		sealed   []byte
		password string
		ok       bool
		rehash   bool
		err      error
	}{
		"right":                    {h, ada, sealed, secret, true, false, nil},
		"wrong":                    {h, ada, sealed, secret + "!", false, false, nil},
		"in other letters":         {h, ada, sealed, strings.ToUpper(secret), false, false, nil},
		"with a space behind":      {h, ada, sealed, secret + " ", false, false, nil},
		"empty":                    {h, ada, sealed, "", false, false, nil},
		"typed as other points":    {h, ada, composed, "cre\u0300me bru\u0302le\u0301e", true, false, nil},
		"not UTF-8":                {h, ada, sealed, "\xff\xfe" + secret, false, false, nil},
		"of no stored hash":        {h, ada, nil, secret, false, false, nil},
		"no password, none stored": {h, ada, []byte{}, "", false, false, nil},
		"another's hash":           {h, "usr_bob", sealed, secret, false, false, seal.ErrMasterKey},
		"dearer than today":        {New(Options{Vault: vault(t, "a"), Cost: Cost{16, 1, 1}}), ada, sealed, secret, true, true, nil},
		"wrong, and dearer":        {New(Options{Vault: vault(t, "a"), Cost: Cost{16, 1, 1}}), ada, sealed, "wrong", false, false, nil},
		"under an old master key":  {New(Options{Vault: vault(t, "b", "a"), Cost: cheap}), ada, sealed, secret, true, true, nil},
		"with a new one behind":    {New(Options{Vault: vault(t, "a", "b"), Cost: cheap}), ada, sealed, secret, true, false, nil},
		"under a lost master key":  {New(Options{Vault: vault(t, "b"), Cost: cheap}), ada, sealed, secret, false, false, seal.ErrMasterKey},
		"another algorithm":        {h, ada, damaged, secret, false, false, errRecord},
	} {
		ok, rehash, err := c.h.Verify(t.Context(), c.userID, c.sealed, c.password)
		if ok != c.ok || rehash != c.rehash || !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, %v, %v, want %v, %v, %v", name, ok, rehash, err, c.ok, c.rehash, c.err)
		}
		// What cannot be read is no wrong password: the answer is not known.
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v does not match %v", name, err, store.ErrUnavailable)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error has the password: %v", name, err)
		}
	}
}

// Neither the password nor the hash can be read from what is stored.
func TestSealedShowsNothing(t *testing.T) {
	h := New(Options{Vault: vault(t, "a"), Cost: cheap})
	if sealed := hash(t, h, ada, secret); bytes.Contains(sealed, []byte("argon2")) || bytes.Contains(sealed, []byte(secret)) {
		t.Errorf("got %q", sealed)
	}
}

// The cost that is recommended is the one that is used, and works.
func TestRecommended(t *testing.T) {
	h := New(Options{Vault: vault(t, "a")})
	sealed := hash(t, h, ada, secret)
	plain, err := vault(t, "a").Open(sealed, sealedFor(ada))
	if want := "$argon2id$v=19$m=19456,t=2,p=1$"; err != nil || !strings.HasPrefix(string(plain), want) {
		t.Errorf("got %q, %v, want %s…", plain, err, want)
	}
	r, err := parse(plain)
	if err != nil || len(r.salt) != 16 || len(r.sum) != 32 {
		t.Errorf("a salt of %d and a sum of %d bytes, %v; want 16 and 32", len(r.salt), len(r.sum), err)
	}
	for password, want := range map[string]bool{secret: true, "wrong": false} {
		if ok, rehash, err := h.Verify(t.Context(), ada, sealed, password); ok != want || rehash || err != nil {
			t.Errorf("%q: got %v, %v, %v, want %v", password, ok, rehash, err, want)
		}
	}
}

// An unknown user costs what a known one does: the same hash, of the same cost.
func TestVerifyUnknownUserDoesTheWork(t *testing.T) {
	h := New(Options{Vault: vault(t, "a"), Cost: cheap})
	sealed := hash(t, h, ada, secret)
	var costs []Cost
	h.sum = func(password string, r record) []byte {
		costs = append(costs, r.cost)
		return sum(password, r)
	}
	for _, stored := range [][]byte{sealed, nil} {
		if ok, _, err := h.Verify(t.Context(), ada, stored, "wrong"); ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
	}
	if len(costs) != 2 || costs[0] != costs[1] {
		t.Errorf("got %v, want the same twice", costs)
	}
}

// gate stands in for the hash: it tells of each that begins, and lets it finish when it is told to.
type gate struct {
	began, end chan struct{}
	now, most  atomic.Int64
}

func (g *gate) sum(string, record) []byte {
	n := g.now.Add(1)
	for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
	}
	g.began <- struct{}{}
	<-g.end
	g.now.Add(-1)
	return make([]byte, sumBytes)
}

// No more hashes are computed at once than are allowed, however many callers there are.
func TestParallelHashes(t *testing.T) {
	const parallel, callers = 3, 40
	g := &gate{began: make(chan struct{}, callers), end: make(chan struct{})}
	h := New(Options{Vault: vault(t, "a"), Cost: cheap, Parallel: parallel})
	h.sum = g.sum
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = h.Hash(t.Context(), ada, secret)
			} else { // an unknown user waits as long
				_, _, err = h.Verify(t.Context(), ada, nil, secret)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range parallel {
		<-g.began
	}
	for range callers - parallel {
		g.end <- struct{}{}
		<-g.began
	}
	for range parallel {
		g.end <- struct{}{}
	}
	wg.Wait()
	if got := g.most.Load(); got != parallel {
		t.Errorf("%d hashes at once, want %d", got, parallel)
	}
}

// A caller that stops waiting leaves the queue, and gets an error; the others get their turn.
func TestWaitingStopsWithTheContext(t *testing.T) {
	g := &gate{began: make(chan struct{}, 1), end: make(chan struct{})}
	h := New(Options{Vault: vault(t, "a"), Cost: cheap, Parallel: 1})
	h.sum = g.sum
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = h.Hash(t.Context(), ada, secret) })
	<-g.began // it has the one turn

	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 2)
	go func() { _, err := h.Hash(ctx, ada, secret); left <- err }()
	go func() { _, _, err := h.Verify(ctx, ada, nil, secret); left <- err }()
	cancel()
	for range 2 {
		if err := <-left; !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, store.ErrUnavailable)
		}
	}
	wg.Go(func() { _, _ = h.Hash(t.Context(), ada, secret) })
	g.end <- struct{}{}
	<-g.began // the next
	g.end <- struct{}{}
	wg.Wait()

	// A caller that is gone gets no free turn.
	if _, err := h.Hash(ctx, ada, secret); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, store.ErrUnavailable)
	}
	if h.queue.free != 1 || len(h.queue.waiting) != 0 || len(h.queue.turns) != 0 {
		t.Errorf("%d turns are free, want 1; %d networks wait", h.queue.free, len(h.queue.turns))
	}
}

func BenchmarkHash(b *testing.B) {
	h := New(Options{Vault: vault(b, "a")})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Hash(b.Context(), ada, secret); err != nil {
			b.Fatal(err)
		}
	}
}
