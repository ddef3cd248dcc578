package load

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// size is how much a store has.
type size struct{ clients, tokens, keys int }

func (s size) String() string {
	return fmt.Sprintf("%s clients, %s tokens, %s keys", thousands(s.clients), thousands(s.tokens), thousands(s.keys))
}

// thousands writes 1000000 as 1,000,000.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// filler fills a Redis as the server itself would, through the store, and many at once.
type filler struct {
	tb    testing.TB
	store *store.Store
	has   size
}

// keysEach is how many keys a user is given.
const keysEach = 100

func newFiller(tb testing.TB, redis *storetest.Server) *filler {
	tb.Helper()
	s, err := store.Open(store.Options{URL: redis.URL()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return &filler{tb: tb, store: s}
}

// grow fills until there is so much.
func (f *filler) grow(to size) {
	f.tb.Helper()
	ctx := context.Background()
	f.each(f.has.clients, to.clients, 32, func(i int) error { return f.store.CreateClient(ctx, filledClient(i)) })
	f.each(f.has.tokens, to.tokens, 1024, func(i int) error {
		d := store.DigestOf(fmt.Sprintf("filled token %d", i))
		return f.store.SaveToken(ctx, d, store.Credential{Generation: store.NewGeneration()}, time.Now().Add(12*time.Hour), nil)
	})
	f.each(f.has.keys/keysEach, (to.keys+keysEach-1)/keysEach, 16, func(i int) error { return f.user(ctx, i) })
	f.has = to
}

// user adds a user with keys.
func (f *filler) user(ctx context.Context, i int) error {
	now := time.Now().UTC()
	u := &store.User{ID: store.NewUserID(), Metadata: store.UserMetadata{Email: fmt.Sprintf("filled-%d@example.com", i), CreatedAt: now}}
	if err := f.store.CreateUser(ctx, u); err != nil {
		return err
	}
	for n := range keysEach {
		k := &store.APIKey{
			ID: store.NewKeyID(now), UserID: u.ID, Name: fmt.Sprintf("deploy %d", n), Scope: "read write",
			Masked: "mk_Ab3d…9xQz", CreatedAt: now, CreatedBy: "user:" + u.ID,
		}
		k.Digest = store.DigestOf(k.ID)
		if err := f.store.CreateKey(ctx, k, u); err != nil {
			return err
		}
	}
	return nil
}

// each calls f for each number from one to another, so many at once.
func (f *filler) each(from, to, atOnce int, do func(i int) error) {
	f.tb.Helper()
	var next atomic.Int64
	next.Store(int64(from))
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for range atOnce {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < to && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		f.tb.Fatalf("fill: %v", *err)
	}
}

// filledSecret is the secret of every client that was filled in.
const filledSecret = "mks_a-secret-that-many-clients-have-in-this-test"

func filledID(i int) string { return fmt.Sprintf("filled-%d", i) }

func filledClient(i int) *store.Client {
	now := time.Now().UTC()
	return &store.Client{
		ID: filledID(i),
		Metadata: store.ClientMetadata{
			Name: fmt.Sprintf("Filled %d", i), Scope: "read write", GrantTypes: []string{"client_credentials"}, CreatedAt: now,
		},
		Secrets: []store.Secret{{ID: store.NewSecretID(), Digest: store.DigestOf(filledSecret), LastFour: "test", CreatedAt: now}},
	}
}

// issueBy asks for tokens as so many of the clients that were filled in, in turn.
func (s *stand) issueBy(clients int) job {
	j := s.issue()
	requests := make([][]byte, clients)
	for i := range requests {
		header := "Basic " + base64.StdEncoding.EncodeToString([]byte(filledID(i)+":"+filledSecret))
		requests[i] = post("/oauth/token", header, "grant_type=client_credentials&scope=read")
	}
	return func(n uint64) exchange {
		e := j(n)
		e.request = requests[n*7919%uint64(clients)] // a prime: through all of them, and not in the order of their creation
		return e
	}
}
