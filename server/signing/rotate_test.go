package signing_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// published is when a key that was just created may sign: 30 s until every replica has it, and 10 minutes.
const published = 10*time.Minute + 30*time.Second

// The states of a key, as an operator and a resource server see them.
func TestRotate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		r, other := loaded(t, b), loaded(t, b)
		first, second := only(t, r, store.KeyActive), only(t, r, store.KeyNext)
		if got := r.ActiveSince(); !got.Equal(first.CreatedAt) {
			t.Errorf("active since %s, want %s", got, first.CreatedAt)
		}
		if !first.PublishedAt.Equal(first.CreatedAt) || !second.PublishedAt.Equal(second.CreatedAt.Add(30*time.Second)) {
			t.Errorf("the first two keys are published at %s and %s", first.PublishedAt, second.PublishedAt)
		}
		old := sign(t, r)

		b.Clock.Advance(published - time.Second)
		err := r.Rotate(t.Context(), signing.NoKeys)
		var early *signing.NotPublishedError
		if !errors.Is(err, signing.ErrNotPublished) || !errors.As(err, &early) || !early.Until.Equal(second.CreatedAt.Add(published)) {
			t.Fatalf("got %v, want %v until %s", err, signing.ErrNotPublished, second.CreatedAt.Add(published))
		}

		b.Clock.Advance(time.Second)
		rotate(t, r, signing.NoKeys)
		third := only(t, r, store.KeyNext)
		want := map[string][]string{"active": {second.ID}, "next": {third.ID}, "retired": {first.ID}}
		if diff := cmp.Diff(want, states(r)); diff != "" {
			t.Fatal(diff)
		}
		if third.ID == first.ID || third.ID == second.ID {
			t.Error("the new key is an old one")
		}

		// The other replica has not looked yet: what it signs, and what is signed elsewhere, can be
		// verified everywhere.
		mustVerify(t, r, sign(t, other))
		mustVerify(t, other, sign(t, r))
		tick(t, other)
		if diff := cmp.Diff(r.Keys(), other.Keys()); diff != "" {
			t.Error(diff)
		}

		retired := only(t, r, store.KeyRetired)
		if got, want := retired.RemoveAt.Sub(retired.RetiredAt), ttlMax+5*time.Minute; got != want {
			t.Errorf("the retired key stays for %s, want %s", got, want)
		}
		b.Clock.Advance(ttlMax + 5*time.Minute - time.Second)
		tick(t, r, other)
		mustVerify(t, r, old)
		mustVerify(t, other, old)
		b.Clock.Advance(time.Second)
		tick(t, other, r)
		for _, r := range []*signing.Ring{r, other} {
			if diff := cmp.Diff(map[string][]string{"active": {second.ID}, "next": {third.ID}}, states(r)); diff != "" {
				t.Error(diff)
			}
			if err := verify(r, old); err == nil {
				t.Error("the removed key is still published")
			}
		}
	})
}

// Retired keys of several rotations stay as long as each has to, the newest first, and no longer.
func TestRotateKeepsTheRetired(t *testing.T) {
	b := storetest.Embedded(t)
	r := loaded(t, b)
	var active []string
	for range 3 {
		active = append([]string{only(t, r, store.KeyActive).ID}, active...)
		b.Clock.Advance(time.Hour)
		rotate(t, r, signing.NoKeys)
	}
	if diff := cmp.Diff(active, states(r)["retired"]); diff != "" {
		t.Error(diff)
	}
	b.Clock.Advance(ttlMax - time.Hour + 5*time.Minute) // the oldest two have served
	rotate(t, r, signing.CurrentKeys)
	if diff := cmp.Diff(active[:1], states(r)["retired"]); diff != "" {
		t.Error(diff)
	}
}

// Of two operators who rotate at once, one succeeds, and the other gets a conflict.
func TestRotateByHandTogether(t *testing.T) {
	for name, compromised := range map[string]signing.Compromised{
		"in good order": signing.NoKeys, "compromised": signing.CurrentKeys, "all compromised": signing.AllKeys,
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
				rings := make([]*signing.Ring, 4)
				for i := range rings {
					rings[i] = loaded(t, b)
				}
				first, second := only(t, rings[0], store.KeyActive), only(t, rings[0], store.KeyNext)
				b.Clock.Advance(published)
				errs := make([]error, len(rings))
				atOnce(len(rings), func(i int) { errs[i] = rings[i].Rotate(t.Context(), compromised) })
				done := 0
				for _, err := range errs {
					switch {
					case err == nil:
						done++
					case errors.Is(err, signing.ErrConflict) && errors.Is(err, store.ErrConflict):
					default:
						t.Errorf("got %v, want %v", err, signing.ErrConflict)
					}
				}
				if done != 1 {
					t.Errorf("%d rotations were done, want 1: %v", done, errs)
				}
				for _, r := range rings {
					// All replicas see it without a reload: the winner, and those that got a conflict.
					got := only(t, r, store.KeyActive).ID
					if promoted := got == second.ID; promoted != (compromised == signing.NoKeys) || got == first.ID {
						t.Errorf("active is %s, and was %s; next was %s", got, first.ID, second.ID)
					}
					if diff := cmp.Diff(rings[0].Keys(), r.Keys()); diff != "" {
						t.Error(diff)
					}
				}
			})
		})
	}
}

// A replica that has not seen the rotation yet does not do a second one in its place.
func TestRotateAfterAnother(t *testing.T) {
	b := storetest.Embedded(t)
	one, two := loaded(t, b), loaded(t, b)
	rotate(t, one, signing.CurrentKeys)
	if err := two.Rotate(t.Context(), signing.CurrentKeys); !errors.Is(err, signing.ErrConflict) {
		t.Fatalf("got %v, want %v", err, signing.ErrConflict)
	}
	if diff := cmp.Diff(one.Keys(), two.Keys()); diff != "" {
		t.Error("the loser does not see what the winner did:", diff)
	}
	rotate(t, two, signing.CurrentKeys) // now it knows what it replaces
}

// Whatever else changed the ring in between, the rotation that was asked for is done.
func TestRotateOverAnotherChange(t *testing.T) {
	b := storetest.Embedded(t)
	one := loaded(t, b)
	b.Clock.Advance(published)
	rotate(t, one, signing.NoKeys)
	two := loaded(t, b)
	b.Clock.Advance(ttlMax + time.Hour)
	tick(t, one) // removes the retired key; two has not seen that
	rotate(t, two, signing.NoKeys)
}

// An attacker who has the active key has the next one too: neither is ever published or used again.
func TestCompromised(t *testing.T) {
	for name, compromised := range map[string]signing.Compromised{"the current keys": signing.CurrentKeys, "all keys": signing.AllKeys} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
				r, other := loaded(t, b), loaded(t, b)
				b.Clock.Advance(published)
				old := sign(t, r)
				rotate(t, r, signing.NoKeys)
				before := states(r)
				forged := sign(t, r)
				_, etag := r.JWKS()

				rotate(t, r, compromised)
				tick(t, other)
				retired := before["retired"]
				if compromised == signing.AllKeys {
					retired = nil
				}
				for _, r := range []*signing.Ring{r, other} {
					after := states(r)
					if diff := cmp.Diff(retired, after["retired"]); diff != "" {
						t.Errorf("retired: (-want +got)\n%s", diff)
					}
					for _, id := range []string{after["active"][0], after["next"][0]} {
						if id == before["active"][0] || id == before["next"][0] || id == before["retired"][0] {
							t.Errorf("%s is in use again", id)
						}
					}
					if err := verify(r, forged); err == nil {
						t.Error("the compromised key is still published")
					}
					if got, want := verify(r, old) == nil, compromised == signing.CurrentKeys; got != want {
						t.Errorf("a token of the retired key verifies: %v, want %v", got, want)
					}
					if _, got := r.JWKS(); got == etag {
						t.Error("the ETag is that of the set with the compromised key")
					}
					mustVerify(t, other, sign(t, r))
				}
				// The next rotation is as any other: the fresh next key is published for 10 minutes first.
				if err := r.Rotate(t.Context(), signing.NoKeys); !errors.Is(err, signing.ErrNotPublished) {
					t.Errorf("got %v, want %v", err, signing.ErrNotPublished)
				}
			})
		})
	}
}

// A rotation in good order that comes between, such as the automatic one, hides no compromised key among the retired:
// the operator meant the keys that were active and next then.
func TestCompromisedAfterAnother(t *testing.T) {
	for name, compromised := range map[string]signing.Compromised{"the current keys": signing.CurrentKeys, "all keys": signing.AllKeys} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
				one, two := loaded(t, b), loaded(t, b)
				leaked := []string{only(t, two, store.KeyActive).ID, only(t, two, store.KeyNext).ID}
				b.Clock.Advance(published)
				rotate(t, one, signing.NoKeys)
				rotate(t, two, compromised) // which has not seen that
				tick(t, one)
				for _, k := range one.Keys() {
					if slices.Contains(leaked, k.ID) {
						t.Errorf("%s is still published, as %s", k.ID, k.State)
					}
				}
			})
		})
	}
}

// Of two operators of whom one wants the current keys dropped and one all of them, either is told a conflict, or has what
// was asked for.
func TestCompromisedMoreThanTheOther(t *testing.T) {
	b := storetest.Embedded(t)
	one := loaded(t, b)
	b.Clock.Advance(published)
	rotate(t, one, signing.NoKeys)
	two := loaded(t, b)
	rotate(t, one, signing.CurrentKeys) // keeps the retired key
	rotate(t, two, signing.AllKeys)
	if got := states(two)["retired"]; got != nil {
		t.Errorf("still retired: %v", got)
	}
	if err := one.Rotate(t.Context(), signing.CurrentKeys); !errors.Is(err, signing.ErrConflict) {
		t.Errorf("got %v, want %v", err, signing.ErrConflict)
	}
}

func TestRotateAutomatically(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		rings := []*signing.Ring{loaded(t, b), loaded(t, b), loaded(t, b)}
		for range 3 {
			next := only(t, rings[0], store.KeyNext)
			b.Clock.Advance(rotation - time.Second)
			tick(t, rings...)
			if got := only(t, rings[0], store.KeyNext); got.ID != next.ID {
				t.Fatal("rotated too early")
			}
			b.Clock.Advance(time.Second)
			errs := make([]error, len(rings))
			atOnce(len(rings), func(i int) { errs[i] = rings[i].Tick(t.Context()) })
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			tick(t, rings...)
			for _, r := range rings {
				if got := only(t, r, store.KeyActive); got.ID != next.ID {
					t.Errorf("active is %s, want %s", got.ID, next.ID)
				}
				if diff := cmp.Diff(rings[0].Keys(), r.Keys()); diff != "" {
					t.Error(diff)
				}
			}
		}
	})
}

func TestRotateAutomaticallyWaitsForPublication(t *testing.T) {
	b := storetest.Embedded(t)
	r := loaded(t, b, func(o *signing.Options) { o.Rotation = time.Minute })
	next := only(t, r, store.KeyNext)
	b.Clock.Advance(published - time.Second)
	tick(t, r)
	if got := only(t, r, store.KeyNext); got.ID != next.ID {
		t.Error("a key signs before it was published for 10 minutes")
	}
	b.Clock.Advance(time.Second)
	tick(t, r)
	if got := only(t, r, store.KeyActive); got.ID != next.ID {
		t.Error("not rotated")
	}
}

func TestRotationZeroIsByHandOnly(t *testing.T) {
	b := storetest.Embedded(t)
	r := loaded(t, b, func(o *signing.Options) { o.Rotation = 0 })
	before := r.Keys()
	b.Clock.Advance(10 * 365 * 24 * time.Hour)
	tick(t, r)
	if diff := cmp.Diff(before, r.Keys()); diff != "" {
		t.Error(diff)
	}
	rotate(t, r, signing.NoKeys)
}

// MINTKEEP_SIGNING_ALG decides the next key that is created, and no other.
func TestAlgorithmOfTheNextKey(t *testing.T) {
	b := storetest.Embedded(t)
	loaded(t, b)
	r := loaded(t, b, algorithm("EdDSA"))
	for step, want := range [][2]string{{"ES256", "ES256"}, {"ES256", "EdDSA"}, {"EdDSA", "EdDSA"}} {
		got := [2]string{only(t, r, store.KeyActive).Algorithm, only(t, r, store.KeyNext).Algorithm}
		if got != want {
			t.Errorf("after %d rotations the active and the next key are of %v, want %v", step, got, want)
		}
		mustVerify(t, r, sign(t, r))
		b.Clock.Advance(published)
		rotate(t, r, signing.NoKeys)
	}
}

func tokenTTLMax(d time.Duration) change { return func(o *signing.Options) { o.TokenTTLMax = d } }

// wantKeptFor wants the one retired key to stay published for so long after its retirement.
func wantKeptFor(t *testing.T, r *signing.Ring, want time.Duration) {
	t.Helper()
	retired := only(t, r, store.KeyRetired)
	if got := retired.RemoveAt.Sub(retired.RetiredAt); got != want {
		t.Errorf("the retired key stays for %s, want %s", got, want)
	}
}

// A retired key stays for the longest lifetime that any replica gave a token while the key was active.
func TestLongestTokenLifetime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		loaded(t, b, tokenTTLMax(2*time.Hour))
		before := loaded(t, b)
		old := sign(t, before)
		after := loaded(t, b, tokenTTLMax(time.Hour)) // the setting was lowered
		b.Clock.Advance(published)
		rotate(t, after, signing.NoKeys)
		wantKeptFor(t, after, ttlMax+5*time.Minute)
		b.Clock.Advance(ttlMax)
		tick(t, after)
		mustVerify(t, after, old)

		// The next key has signed for this replica alone.
		b.Clock.Advance(time.Hour)
		rotate(t, after, signing.NoKeys)
		wantKeptFor(t, after, time.Hour+5*time.Minute)

		// Another replica raises it before it signs with the key, also one that only learns of the key from a conflict.
		b.Clock.Advance(2 * time.Hour)
		tick(t, after, before)
		rotate(t, after, signing.NoKeys)
		if err := before.Rotate(t.Context(), signing.NoKeys); !errors.Is(err, signing.ErrConflict) {
			t.Fatalf("got %v, want %v", err, signing.ErrConflict)
		}
		old = sign(t, before)
		b.Clock.Advance(published)
		tick(t, after)
		rotate(t, after, signing.NoKeys)
		b.Clock.Advance(ttlMax)
		tick(t, after)
		mustVerify(t, after, old)
	})
}

// Until a replica has written its longest lifetime of a token, it signs nothing with a key that it does not know yet.
func TestLongestTokenLifetimeIsWrittenFirst(t *testing.T) {
	server := storetest.Redis(t)
	b := server.Backend(t)
	loaded(t, b, tokenTTLMax(time.Hour))
	proxy := storetest.NewLateProxy(t, server)
	r := newRing(t, b.Through(proxy).Patient())
	held := proxy.Hold(storetest.Command("set", record))
	done := make(chan error, 1)
	go func() { done <- r.Load(t.Context()) }()
	held.Await()
	if err := r.Ready(); !errors.Is(err, signing.ErrNotReady) {
		t.Errorf("Ready = %v before the write", err)
	}
	held.Release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	mustVerify(t, r, sign(t, r))
}

// A Redis that is out of memory takes revocations, and no other write. A replica that starts then is ready, and one that runs takes
// over a rotation. The longest lifetime of a token is written once there is memory again.
func TestLongestTokenLifetimeOutOfMemory(t *testing.T) {
	server := storetest.Redis(t)
	b := server.Backend(t)
	shorter := loaded(t, b, tokenTTLMax(time.Hour))
	running := loaded(t, b)
	b.Clock.Advance(published)
	rotate(t, shorter, signing.NoKeys)
	server.Config("maxmemory-policy", "noeviction")
	server.Config("maxmemory", "1")
	starting := newRing(t, b)
	if err := starting.Load(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Load = %v, want %v", err, store.ErrUnavailable)
	}
	if err := running.Tick(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Tick = %v, want %v", err, store.ErrUnavailable)
	}
	for name, r := range map[string]*signing.Ring{"starting": starting, "running": running} {
		if err := r.Ready(); err != nil {
			t.Errorf("%s: Ready = %v", name, err)
			continue
		}
		if diff := cmp.Diff(shorter.Keys(), r.Keys()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
		mustVerify(t, shorter, sign(t, r))
	}

	server.Config("maxmemory", "0")
	b.Clock.Advance(ttlMax + 5*time.Minute) // the key that was rotated before is gone
	tick(t, starting)
	rotate(t, shorter, signing.NoKeys)
	wantKeptFor(t, shorter, ttlMax+5*time.Minute)
}

// A record of 0.1.0 does not say it: then the setting of the replica that rotates decides, as it did there.
func TestTokenLifetimeThatIsNotRecorded(t *testing.T) {
	b := storetest.Embedded(t)
	r := loaded(t, b)
	stored := b.Do("GET", record).(string)
	b.Do("SET", record, strings.Replace(stored, fmt.Sprintf(`,"token_ttl_max":%d`, ttlMax), "", 1))
	if b.Do("GET", record) == stored {
		t.Fatal("the record is unchanged")
	}
	b.Clock.Advance(published)
	rotate(t, r, signing.NoKeys)
	wantKeptFor(t, r, ttlMax+5*time.Minute)
}
