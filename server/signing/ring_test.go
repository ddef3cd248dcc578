package signing_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const (
	ttlMax   = 24 * time.Hour
	rotation = 720 * time.Hour
)

var masterKey = []byte("0123456789abcdef0123456789abcdef")

type change func(*signing.Options)

// newRing is a replica that has not loaded its keys yet.
func newRing(t *testing.T, b *storetest.Backend, changes ...change) *signing.Ring {
	t.Helper()
	o := signing.Options{
		Store: b.Open(t), MasterKeys: [][]byte{masterKey}, Algorithm: "ES256", Rotation: rotation, TokenTTLMax: ttlMax, Now: b.Clock.Now,
	}
	for _, change := range changes {
		change(&o)
	}
	r, err := signing.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func loaded(t *testing.T, b *storetest.Backend, changes ...change) *signing.Ring {
	t.Helper()
	r := newRing(t, b, changes...)
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func algorithm(name string) change { return func(o *signing.Options) { o.Algorithm = name } }
func masterKeys(keys ...string) change {
	return func(o *signing.Options) {
		o.MasterKeys = nil
		for _, k := range keys {
			o.MasterKeys = append(o.MasterKeys, []byte(strings.Repeat(k, 32)))
		}
	}
}

func logTo(b *strings.Builder) change {
	return func(o *signing.Options) { o.Logger = slog.New(slog.NewTextHandler(b, nil)) }
}

func tick(t *testing.T, rings ...*signing.Ring) {
	t.Helper()
	for _, r := range rings {
		if err := r.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func rotate(t *testing.T, r *signing.Ring, compromised signing.Compromised) {
	t.Helper()
	if err := r.Rotate(t.Context(), compromised); err != nil {
		t.Fatal(err)
	}
}

// states is the ring in short: the id of the active key, of the next one, and of the retired ones.
func states(r *signing.Ring) map[string][]string {
	got := map[string][]string{}
	for _, k := range r.Keys() {
		got[k.State] = append(got[k.State], k.ID)
	}
	return got
}

func only(t *testing.T, r *signing.Ring, state string) signing.KeyState {
	t.Helper()
	var found []signing.KeyState
	for _, k := range r.Keys() {
		if k.State == state {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d keys are %s, want 1", len(found), state)
	}
	return found[0]
}

const claims = `{"iss":"https://auth.example.com","sub":"billing"}`

func sign(t *testing.T, r *signing.Ring) string {
	t.Helper()
	token, err := r.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// verify does what a resource server does: it takes the published set, picks the key by its id, and
// checks.
func verify(r *signing.Ring, token string) error {
	body, _ := r.JWKS()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		return err
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil {
		return err
	}
	header := jws.Signatures[0].Header
	keys := set.Key(header.KeyID)
	if len(keys) != 1 {
		return errors.New("the key is not published")
	}
	if keys[0].Algorithm != header.Algorithm || keys[0].Use != "sig" {
		return errors.New("the key is published for something else")
	}
	payload, err := jws.Verify(keys[0])
	if err == nil && string(payload) != claims {
		return errors.New("other claims")
	}
	return err
}

func mustVerify(t *testing.T, r *signing.Ring, token string) {
	t.Helper()
	if err := verify(r, token); err != nil {
		t.Error(err)
	}
}

// atOnce calls f n times at the same moment.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// However many replicas start together, one set of keys is created.
func TestLoadTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		rings := make([]*signing.Ring, 8)
		for i := range rings {
			rings[i] = newRing(t, b)
		}
		errs := make([]error, len(rings))
		atOnce(len(rings), func(i int) { errs[i] = rings[i].Load(t.Context()) })
		for i, r := range rings {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			if err := r.Ready(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(rings[0].Keys(), r.Keys()); diff != "" {
				t.Errorf("replica %d: %s", i, diff)
			}
			body0, etag0 := rings[0].JWKS()
			body, etag := r.JWKS()
			if string(body) != string(body0) || etag != etag0 {
				t.Errorf("replica %d publishes %s %s, replica 0 %s %s", i, body, etag, body0, etag0)
			}
			mustVerify(t, rings[0], sign(t, r))
		}
		only(t, rings[0], store.KeyActive)
		only(t, rings[0], store.KeyNext)
	})
}

// While one replica makes the first keys, another waits rather than making its own.
func TestLoadWaitsForTheCreator(t *testing.T) {
	b := storetest.Embedded(t)
	s := b.Open(t)
	if mine, err := s.ClaimKeyring(t.Context(), nil, "another replica", time.Minute); err != nil || !mine {
		t.Fatal(mine, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	r := newRing(t, b)
	if err := r.Load(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, store.ErrUnavailable)
	}
	if _, err := s.Keyring(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("there are keys, or: %v", err)
	}
	if err := r.Ready(); !errors.Is(err, signing.ErrNotReady) {
		t.Errorf("Ready = %v, want %v", err, signing.ErrNotReady)
	}

	// The other one never comes back, and its claim expires.
	b.Clock.Advance(time.Minute)
	if err := r.Load(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBeforeLoad(t *testing.T) {
	r := newRing(t, storetest.Embedded(t))
	if err := r.Ready(); !errors.Is(err, signing.ErrNotReady) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Ready = %v", err)
	}
	if token, err := r.Sign([]byte(claims)); token != "" || !errors.Is(err, signing.ErrNotReady) {
		t.Errorf("Sign = %q, %v", token, err)
	}
	if err := r.Rotate(t.Context(), signing.CurrentKeys); !errors.Is(err, signing.ErrNotReady) {
		t.Errorf("Rotate = %v", err)
	}
	if body, etag := r.JWKS(); body != nil || etag != "" {
		t.Errorf("JWKS = %s, %s", body, etag)
	}
	if got := r.ActiveSince(); !got.IsZero() {
		t.Errorf("ActiveSince = %s", got)
	}
}

func TestNewRejects(t *testing.T) {
	for name, o := range map[string]signing.Options{
		"no algorithm":        {MasterKeys: [][]byte{masterKey}},
		"a symmetric one":     {MasterKeys: [][]byte{masterKey}, Algorithm: "HS256"},
		"no master key":       {Algorithm: "ES256"},
		"a short master key":  {Algorithm: "ES256", MasterKeys: [][]byte{masterKey[:16]}},
		"a short second one":  {Algorithm: "ES256", MasterKeys: [][]byte{masterKey, masterKey[:31]}},
		"a longer master key": {Algorithm: "ES256", MasterKeys: [][]byte{append([]byte("x"), masterKey...)}},
	} {
		if _, err := signing.New(o); err == nil || strings.Contains(err.Error(), string(masterKey[:8])) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// RFC 7517: what a verifier needs, and nothing of the private key.
func TestJWKS(t *testing.T) {
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			r := loaded(t, storetest.Embedded(t), algorithm(alg))
			mustVerify(t, r, sign(t, r))
			body, etag := r.JWKS()
			if len(etag) < 10 || etag[0] != '"' || etag[len(etag)-1] != '"' {
				t.Errorf("etag = %s", etag)
			}
			var set struct{ Keys []map[string]string }
			if err := json.Unmarshal(body, &set); err != nil {
				t.Fatal(err)
			}
			if len(set.Keys) != 2 {
				t.Fatalf("%d keys are published, want 2", len(set.Keys))
			}
			members := map[string]string{
				"ES256": "alg crv kid kty use x y", "EdDSA": "alg crv kid kty use x", "RS256": "alg e kid kty n use",
			}
			kty := map[string]string{"ES256": "EC", "EdDSA": "OKP", "RS256": "RSA"}
			for _, key := range set.Keys {
				if got := strings.Join(slices.Sorted(maps.Keys(key)), " "); got != members[alg] {
					t.Errorf("members = %s, want %s", got, members[alg])
				}
				if key["kty"] != kty[alg] || key["alg"] != alg || key["use"] != "sig" {
					t.Errorf("got %v", key)
				}
			}
			if set.Keys[0]["kid"] == set.Keys[1]["kid"] {
				t.Error("two keys share an id")
			}
		})
	}
}
