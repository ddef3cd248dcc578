package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// assertion is that of client "a" with this jti, which was created at the time of the backend.
func assertion(b *storetest.Backend, jti string) *store.ReplayRecord {
	return createdAt(jti, b.Clock.Now())
}

func createdAt(jti string, at time.Time) *store.ReplayRecord {
	return store.NewReplayRecord("client", "a", jti, at, at.Add(5*time.Minute+30*time.Second))
}

// useFor issues a token by an assertion.
func useFor(t *testing.T, b *storetest.Backend, s *store.Store, token string, used *store.ReplayRecord) error {
	t.Helper()
	return s.SaveToken(request(t), store.DigestOf(token), store.Credential{Generation: store.Generation{1}}, b.Clock.Now().Add(time.Hour), used)
}

func isIssued(t *testing.T, s *store.Store, token string) bool {
	t.Helper()
	_, err := s.Credential(t.Context(), store.DigestOf(token))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// Of 50 requests with one assertion, at two replicas at once, one gets a token. No record is left of the tokens that the
// others would have got.
func TestAssertionIsUsedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas := []*store.Store{b.Open(t), b.Open(t)}
		used, n := assertion(b, "one"), 50
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { errs[i] = useFor(t, b, replicas[i%2], fmt.Sprint("token ", i), used) })
		}
		wg.Wait()
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
			} else {
				wantErr(t, "another", err, store.ErrReplayed)
			}
			if got := isIssued(t, replicas[1], fmt.Sprint("token ", i)); got != (err == nil) {
				t.Errorf("%v, and the record of the token is there: %v", err, got)
			}
		}
		if won != 1 {
			t.Errorf("%d requests have got a token, want 1", won)
		}
		s, ctx := replicas[0], t.Context()
		create(t, s, "a")
		u := add(t, s, "u@example.com")
		wantErr(t, "used for nothing else", s.UseOnce(ctx, used), store.ErrReplayed)
		_, err := s.ClientOnce(ctx, "a", used)
		wantErr(t, "used with a client", err, store.ErrReplayed)
		_, err = s.UserOnce(ctx, u.ID, used)
		wantErr(t, "used with a user", err, store.ErrReplayed)
		wantErr(t, "for a token that has expired", s.SaveToken(ctx, store.Digest{}, store.Credential{}, b.Clock.Now(), used), store.ErrReplayed)
	})
}

// The owner of what is introspected comes in the round trip in which the assertion is used.
func TestAssertionIsUsedWithTheOwner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		u := add(t, s, "u@example.com")
		for i, read := range []func(*store.ReplayRecord) (string, error){
			func(used *store.ReplayRecord) (string, error) {
				c, err := s.ClientOnce(ctx, "a", used)
				return c.ID, err
			},
			func(used *store.ReplayRecord) (string, error) {
				u, err := s.UserOnce(ctx, u.ID, used)
				return u.ID, err
			},
		} {
			used, want := assertion(b, fmt.Sprint(i)), []string{"a", u.ID}[i]
			if got, err := read(used); err != nil || got != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
			wantErr(t, "again", s.UseOnce(ctx, used), store.ErrReplayed)
			if got, err := read(nil); err != nil || got != want {
				t.Errorf("without an assertion: got %q, %v; want %q", got, err, want)
			}
		}
		gone := assertion(b, "gone")
		_, err := s.ClientOnce(ctx, "gone", gone)
		wantErr(t, "an owner that is not there", err, store.ErrNotFound)
		wantErr(t, "again", s.UseOnce(ctx, gone), store.ErrReplayed)
	})
}

// A jti is unique for its client and its kind of assertion.
func TestReplayRecordsDiffer(t *testing.T) {
	now := time.Now()
	var seen [][16]byte
	for _, parts := range [][3]string{{"client", "a", "bc"}, {"client", "ab", "c"}, {"clienta", "", "bc"}, {"trust", "a", "bc"}, {"client", "b", "bc"}, {"client", "a", "bd"}} {
		r := store.NewReplayRecord(parts[0], parts[1], parts[2], now, now)
		if slices.Contains(seen, r.Digest) {
			t.Errorf("%q has the digest of another", parts)
		}
		if again := store.NewReplayRecord(parts[0], parts[1], parts[2], now, now.Add(time.Hour)); again.Digest != r.Digest {
			t.Errorf("%q has two digests", parts)
		}
		seen = append(seen, r.Digest)
	}
}

// An assertion that is used at a replica whose clock is ahead stays used as long as another one accepts it, whose clock is
// behind.
func TestAssertionIsUsedOnceByClocksThatDiffer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			t.Skip("one process has one clock")
		}
		ahead := b.Open(t, func(o *store.Options) { o.Now = func() time.Time { return b.Clock.Now().Add(40 * time.Second) } })
		behind := b.Open(t)
		used := createdAt("one", b.Clock.Now().Add(40*time.Second))
		must(t, ahead.UseOnce(t.Context(), used))
		wantErr(t, "at once", behind.UseOnce(t.Context(), used), store.ErrReplayed)
		b.Clock.Advance(used.Expires.Sub(b.Clock.Now()) - 10*time.Second)
		wantErr(t, "as long as it is accepted", behind.UseOnce(t.Context(), used), store.ErrReplayed)
	})
}

// An assertion whose answer is lost counts as used. There are never two tokens, and none whose answer was lost.
func TestAssertionWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...string) *storetest.Server{"redis": storetest.Redis, "cluster": storetest.Cluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			b := server.Backend(t)
			p := storetest.NewLateProxy(t, server)
			late, other := b.Through(p).Open(t), b.Open(t)
			must(t, late.UseOnce(t.Context(), assertion(b, "before")))
			for times := range 2 {
				used := assertion(b, fmt.Sprint(times))
				for i := range times + 1 {
					held := p.HoldAnswer(storetest.Command("set", "mk:j:"))
					wantErr(t, "without an answer", useFor(t, b, late, fmt.Sprint("lost ", i), used), store.ErrUnavailable)
					held.Await()
					held.Release()
				}
				wantErr(t, "again", useFor(t, b, late, "again", used), store.ErrReplayed)
				wantErr(t, "at another replica", useFor(t, b, other, "at another", used), store.ErrReplayed)
				must(t, useFor(t, b, late, "new", assertion(b, fmt.Sprint("new ", times))))
			}
			if isIssued(t, other, "again") || isIssued(t, other, "at another") {
				t.Error("an assertion that was used has led to a record of a token")
			}
		})
	}
}

// Where a replay record cannot be written, no token is issued, and none stays in Redis if its record could be written.
func TestReplayRecordFailsClosed(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	do := func(args ...any) { t.Helper(); must2(t)(srv.Do(args...)) }
	s := b.Impatient().Open(t)
	s.Heartbeat(t.Context())
	for i, fault := range []struct {
		name        string
		start, stop func()
	}{
		{"out of memory", func() { srv.Config("maxmemory", "1") }, func() { srv.Config("maxmemory", "0") }},
		{"read-only", func() { do("REPLICAOF", "127.0.0.1", "1") }, func() { do("REPLICAOF", "NO", "ONE") }},
		{"down", func() { do("SAVE"); srv.Stop() }, srv.Start},
		{"no right to replay records", func() { do("ACL", "SETUSER", "default", "resetkeys", "~mk:t:*", "~mk:epoch*", "~mk:fence") }, func() { do("ACL", "SETUSER", "default", "~*") }},
		{"no right to tokens", func() { do("ACL", "SETUSER", "default", "resetkeys", "~mk:j:*", "~mk:epoch*", "~mk:fence") }, func() { do("ACL", "SETUSER", "default", "~*") }},
		{"no right to the epoch key", func() { do("ACL", "SETUSER", "default", "resetkeys", "~mk:t:*", "~mk:j:*") }, func() { do("ACL", "SETUSER", "default", "~*") }},
	} {
		used, token := assertion(b, fault.name), fmt.Sprint("token ", i)
		fault.start()
		err := useFor(t, b, s, token, used)
		fault.stop()
		wantErr(t, fault.name, err, store.ErrUnavailable)
		await(t, fault.name+": ping", func() error { s.Heartbeat(t.Context()); return s.Ping(t.Context()) })
		if isIssued(t, s, token) {
			t.Errorf("%s: the record of the token is there", fault.name)
		}
		first, second := useFor(t, b, s, token+" first", used), useFor(t, b, s, token+" second", used)
		if first != nil {
			wantErr(t, fault.name+": afterwards", first, store.ErrReplayed)
		}
		wantErr(t, fault.name+": once more", second, store.ErrReplayed)
	}
}

// What assertions leave is small, and gone with them.
func TestReplayMemory(t *testing.T) {
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	useMany(t, b, 0, 200)
	n, used := *stored, usedMemory(t, srv)
	useMany(t, b, 200, n)
	per := float64(usedMemory(t, srv)-used) / float64(n)
	t.Logf("%d replay records: %.1f bytes each", n, per)
	if per > 128 {
		t.Errorf("%d replay records take %.1f bytes each, want at most 128", n, per)
	}
	b.Clock.Advance(10 * time.Minute)
	keys := b.Dump(t).Keys()
	if slices.ContainsFunc(keys, func(key string) bool { return key != "mk:epoch" }) {
		t.Errorf("%d keys are left, %.100q", len(keys), keys)
	}
}

// useMany uses so many assertions, many at once.
func useMany(t *testing.T, b *storetest.Backend, from, n int) {
	t.Helper()
	s := b.Open(t)
	if b.Server != nil {
		defer s.Close()
	}
	const workers = 256
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			var err error
			for i := from + w; i < from+n && err == nil; i += workers {
				err = s.UseOnce(t.Context(), assertion(b, fmt.Sprint(i)))
			}
			errs <- err
		}()
	}
	for range workers {
		must(t, <-errs)
	}
}

// The embedded store gives back what 100,000 assertions have taken, and keeps the name of none.
func TestReplayMemoryEmbedded(t *testing.T) {
	b := storetest.Embedded(t)
	b.Open(t)
	before := liveHeap()
	useMany(t, b, 0, 100_000)
	wantErr(t, "again", b.Open(t).UseOnce(t.Context(), assertion(b, "0")), store.ErrReplayed)
	peak := liveHeap() - before
	b.Clock.Advance(10 * time.Minute)
	left := liveHeap() - before
	t.Logf("100,000 assertions take %d bytes, and leave %d", peak, left)
	if left > 2<<20 {
		t.Errorf("%d bytes are left of %d", left, peak)
	}
	if keys := b.Dump(t).Keys(); len(keys) > 0 {
		t.Errorf("%d names are left in Redis", len(keys))
	}
}

// When the embedded store has no room for another replay record, assertions are rejected until some have expired. One client
// cannot take all the room.
func TestReplayRecordsOfTheEmbeddedStoreAreBounded(t *testing.T) {
	b := storetest.Embedded(t)
	s, ctx := b.Open(t), t.Context()
	const most = 1 << 18
	of := func(owner string, i int) *store.ReplayRecord {
		return store.NewReplayRecord("client", owner, strconv.Itoa(i), b.Clock.Now(), b.Clock.Now().Add(time.Minute))
	}
	for i := range most / 4 * 3 {
		must(t, s.UseOnce(ctx, of("flood", i)))
	}
	wantErr(t, "one more of the client", s.UseOnce(ctx, of("flood", most)), store.ErrUnavailable)
	for i := range most / 4 {
		must(t, s.UseOnce(ctx, of("other", i)))
	}
	next := assertion(b, "next")
	wantErr(t, "one more", s.UseOnce(ctx, next), store.ErrUnavailable)
	wantErr(t, "the first again", s.UseOnce(ctx, of("flood", 0)), store.ErrReplayed)
	b.Clock.Advance(2*time.Minute + time.Second)
	must(t, s.UseOnce(ctx, next))
	must(t, s.UseOnce(ctx, of("flood", most)))
}
