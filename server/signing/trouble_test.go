package signing_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const record = "mk:signing-keys"

// The first master key seals and all open: a new one is brought in without an outage.
func TestMasterKeyIsChanged(t *testing.T) {
	b := storetest.Embedded(t)
	loaded(t, b, masterKeys("a"))
	loaded(t, b, masterKeys("a", "b")) // step 1, on every replica
	r := loaded(t, b, masterKeys("b", "a"))
	for range 2 {
		b.Clock.Advance(published)
		rotate(t, r, signing.NoKeys)
	}
	mustVerify(t, r, sign(t, r))
	loaded(t, b, masterKeys("b")) // "a" is not needed any more
}

func TestMasterKeyIsWrong(t *testing.T) {
	b := storetest.Embedded(t)
	right := loaded(t, b, masterKeys("a"))
	wrong := newRing(t, b, masterKeys("b", "c"))
	err := wrong.Load(t.Context())
	if !errors.Is(err, signing.ErrMasterKey) {
		t.Fatalf("got %v, want %v", err, signing.ErrMasterKey)
	}
	// The operator learns which setting, and what to do.
	for _, want := range []string{"MINTKEEP_MASTER_KEY", "add the previous one", record} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %q", err, want)
		}
	}
	if err := wrong.Ready(); !errors.Is(err, signing.ErrNotReady) || !errors.Is(err, signing.ErrMasterKey) {
		t.Errorf("Ready = %v", err)
	}
	if token, err := wrong.Sign([]byte(claims)); err == nil {
		t.Errorf("signed %s", token)
	}
	// Public keys need no master key.
	mustVerify(t, wrong, sign(t, right))

	// Nothing that it does may cost the others their keys.
	if err := wrong.Rotate(t.Context(), signing.CurrentKeys); err == nil {
		t.Error("rotated")
	}
	if err := wrong.Tick(t.Context()); !errors.Is(err, signing.ErrMasterKey) {
		t.Errorf("Tick = %v", err)
	}
	before := right.Keys()
	tick(t, right)
	if diff := cmp.Diff(before, right.Keys()); diff != "" {
		t.Error(diff)
	}
}

// A replica that was given the new master key too late signs on with the key that it has, says so,
// publishes what the others need, and does not promote what it could not use.
func TestMasterKeyOfTheNextKeyIsMissing(t *testing.T) {
	b := storetest.Embedded(t)
	var log strings.Builder
	late := loaded(t, b, masterKeys("a"), logTo(&log))
	ahead := loaded(t, b, masterKeys("b", "a"))
	b.Clock.Advance(published)
	rotate(t, ahead, signing.NoKeys)
	if err := late.Tick(t.Context()); !errors.Is(err, signing.ErrMasterKey) {
		t.Fatalf("Tick = %v, want %v", err, signing.ErrMasterKey)
	}
	if err := late.Ready(); err != nil {
		t.Error(err)
	}
	mustVerify(t, ahead, sign(t, late))
	if diff := cmp.Diff(ahead.Keys(), late.Keys()); diff != "" {
		t.Error(diff)
	}
	if got, want := strings.Count(log.String(), "MINTKEEP_MASTER_KEY"), 1; got != want {
		t.Errorf("%d lines in the log, want %d:\n%s", got, want, &log)
	}
	b.Clock.Advance(rotation)
	if err := late.Rotate(t.Context(), signing.NoKeys); !errors.Is(err, signing.ErrMasterKey) {
		t.Errorf("Rotate = %v, want %v", err, signing.ErrMasterKey)
	}
	if err := late.Tick(t.Context()); !errors.Is(err, signing.ErrMasterKey) {
		t.Errorf("Tick = %v, want %v", err, signing.ErrMasterKey)
	}

	rotate(t, ahead, signing.NoKeys)
	_ = late.Tick(t.Context())
	if err := late.Ready(); !errors.Is(err, signing.ErrMasterKey) {
		t.Errorf("Ready = %v, want %v", err, signing.ErrMasterKey)
	}
}

// Whatever the record is that this version cannot use, the replica stops signing, goes on publishing
// what it knew, and recovers by itself.
func TestRecordCannotBeUsed(t *testing.T) {
	for name, spoil := range map[string]func(good string) string{
		"written by a newer version": func(good string) string { return strings.Replace(good, `"v":1`, `"v":2`, 1) },
		"damaged":                    func(good string) string { return good[:len(good)/2] },
		"with another public key":    func(good string) string { return strings.Replace(good, `"x":"`, `"x":"AAAA`, 1) },
		"without a public key":       func(good string) string { return strings.Replace(good, `"kty":"EC"`, `"kty":"XX"`, 1) },
		"with private keys swapped":  func(good string) string { return swap(good, `"sealed":"`, `"`) },
		"with public keys swapped":   func(good string) string { return swap(good, `"public":{`, `}`) },
	} {
		t.Run(name, func(t *testing.T) {
			b := storetest.Embedded(t)
			var log strings.Builder
			r := loaded(t, b, logTo(&log))
			old := sign(t, r)
			good := b.Do("GET", record).(string)
			b.Do("SET", record, spoil(good))
			if b.Do("GET", record) == good {
				t.Fatal("the record is not spoilt")
			}
			log.Reset()
			for range 3 {
				if err := r.Tick(t.Context()); err == nil {
					t.Error("reloaded")
				}
			}
			if got := strings.Count(log.String(), "\n"); got != 1 {
				t.Errorf("%d lines in the log, want 1:\n%s", got, &log)
			}
			if err := r.Ready(); !errors.Is(err, signing.ErrNotReady) {
				t.Errorf("Ready = %v", err)
			}
			if _, err := r.Sign([]byte(claims)); !errors.Is(err, signing.ErrNotReady) {
				t.Errorf("Sign = %v", err)
			}
			mustVerify(t, r, old)
			if err := newRing(t, b).Load(t.Context()); err == nil {
				t.Error("loaded")
			}

			b.Do("SET", record, good)
			log.Reset()
			tick(t, r, r)
			mustVerify(t, r, sign(t, r))
			if got := strings.Count(log.String(), "\n"); got != 1 {
				t.Errorf("%d lines in the log, want 1:\n%s", got, &log)
			}
		})
	}
}

// swap exchanges what two keys have between before and after.
func swap(good, before, after string) string {
	part := func(from int) (start, end int) {
		start = from + strings.Index(good[from:], before) + len(before)
		return start, start + strings.Index(good[start:], after)
	}
	s1, e1 := part(0)
	s2, e2 := part(e1)
	return good[:s1] + good[s2:e2] + good[e1:s2] + good[s1:e1] + good[e2:]
}

// While Redis is unavailable the replica goes on signing, and the log has one line when that begins and one when it is
// over.
func TestSigningWithoutRedis(t *testing.T) {
	server := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always") // it is killed, and must have the keys again
	b := server.Backend(t)
	var log strings.Builder
	r := loaded(t, b, logTo(&log))
	log.Reset()
	server.Kill()
	for range 3 {
		if err := r.Tick(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, store.ErrUnavailable)
		}
	}
	if err := r.Ready(); err != nil {
		t.Error(err)
	}
	mustVerify(t, r, sign(t, r))
	if err := r.Rotate(t.Context(), signing.CurrentKeys); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Rotate = %v, want %v", err, store.ErrUnavailable)
	}
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("%d lines in the log, want 1:\n%s", got, &log)
	}
	server.Start()
	tick(t, r, r)
	if got := strings.Count(log.String(), "\n"); got != 2 {
		t.Errorf("%d lines in the log, want 2:\n%s", got, &log)
	}
}

// All data is lost: the old tokens have no record any more, so new keys break nothing more.
func TestKeyringIsLost(t *testing.T) {
	b := storetest.Embedded(t)
	r := loaded(t, b)
	old := only(t, r, store.KeyActive)
	b.Do("DEL", record)
	if err := r.Rotate(t.Context(), signing.CurrentKeys); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("Rotate = %v, want %v", err, store.ErrUnavailable)
	}
	b.Clock.Advance(time.Hour)
	tick(t, r)
	if got := only(t, r, store.KeyActive); got.ID == old.ID {
		t.Error("the old key signs on")
	}
	mustVerify(t, r, sign(t, r))
}

// Run loads as soon as Redis answers, and stops with its context.
func TestRun(t *testing.T) {
	server := storetest.Redis(t)
	b := server.Backend(t)
	server.Kill()
	r := newRing(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	if err := r.Ready(); !errors.Is(err, signing.ErrNotReady) {
		t.Errorf("Ready = %v", err)
	}
	server.Start()
	waitFor(t, func() bool { return r.Ready() == nil })
	mustVerify(t, r, sign(t, r))
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("Run did not end")
	}
}

func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ready() {
		select {
		case <-deadline:
			t.Fatal("waited in vain")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
