package store_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// keySet is a set with a key for each kid, as it is registered; null without any.
func keySet(kids ...string) json.RawMessage {
	var keys []string
	for _, kid := range kids {
		x := sha256.Sum256([]byte(kid))
		keys = append(keys, fmt.Sprintf(`{"kty":"OKP","kid":%q,"crv":"Ed25519","x":%q}`, kid, base64.RawURLEncoding.EncodeToString(x[:])))
	}
	if keys == nil {
		return nil
	}
	return json.RawMessage(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// setKeys registers a client with the keys of these kids and no others, or with those at a URL.
func setKeys(t *testing.T, s *store.Store, id, uri string, kids ...string) {
	t.Helper()
	_, err := s.UpdateClient(t.Context(), id, store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
		m.JWKS, m.JWKSURI = keySet(kids...), uri
		return false, nil
	})
	must(t, err)
}

// wantKeys holds a client to the keys of these kids, or those at a URL.
func wantKeys(t *testing.T, s *store.Store, id, uri string, kids ...string) {
	t.Helper()
	c, err := s.Client(t.Context(), id)
	must(t, err)
	want := store.ClientMetadata{JWKS: keySet(kids...), JWKSURI: uri}
	got := store.ClientMetadata{JWKS: c.Metadata.JWKS, JWKSURI: c.Metadata.JWKSURI}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys of %s (-want +got)\n%s", id, diff)
	}
	if got, want := c.Metadata.HasKeys(), uri != "" || len(kids) > 0; got != want {
		t.Errorf("%s has keys: %v, want %v", id, got, want)
	}
}

// markers are the fields of a client's record that stand for keys.
func markers(t *testing.T, b *storetest.Backend, id string) (names []string) {
	t.Helper()
	fields, ok := b.Do("HKEYS", "mk:c:"+id).([]any)
	if !ok {
		t.Fatalf("there is no client %s", id)
	}
	for _, field := range fields {
		if name, is := strings.CutPrefix(field.(string), "k:"); is {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// The removal of a client's public key, or of the URL where its keys are, holds though Redis loses it. So does the removal
// of a key that was registered again before; a key that is there again, or was there all the time, stays.
func TestRollbackOfARemovedKey(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s, other := b.Open(t), b.Open(t)
	const uri, another = "https://a.example/keys", "https://b.example/keys"
	ids := []string{"removed", "last", "replaced", "again", "same", "kept", "returned", "moved", "url-removed", "url-kept", "to-url"}
	for _, id := range ids {
		create(t, s, id)
		setKeys(t, s, id, "", "one", "two")
	}
	for _, id := range []string{"moved", "url-removed", "url-kept"} {
		setKeys(t, s, id, uri)
	}
	// A removal that the redo log has, of keys that are registered again when Redis loses something else.
	s.Heartbeat(ctx)
	setKeys(t, s, "again", "", "two")
	setKeys(t, other, "again", "", "one", "two")
	setKeys(t, s, "same", "")
	setKeys(t, s, "same", "", "one", "two")
	setKeys(t, s, "url-kept", another)
	setKeys(t, other, "url-kept", uri)
	loses(t, srv, s, func() {
		setKeys(t, s, "removed", "", "two")
		setKeys(t, s, "last", "")
		setKeys(t, s, "replaced", "", "two", "three")
		setKeys(t, s, "returned", "", "two")
		setKeys(t, s, "returned", "", "one", "two")
		setKeys(t, s, "moved", another)
		setKeys(t, s, "url-removed", "")
		setKeys(t, s, "to-url", uri)
		_, err := s.UpdateClient(ctx, "kept", store.Cause{}, func(m *store.ClientMetadata) (bool, error) { m.Name = "Another"; return true, nil })
		must(t, err)
	})
	for _, s := range []*store.Store{s, b.Open(t)} {
		wantKeys(t, s, "removed", "", "two")
		wantKeys(t, s, "last", "")
		wantKeys(t, s, "replaced", "", "two") // the new key is lost
		wantKeys(t, s, "returned", "", "two") // likewise: what was registered again has another marker
		wantKeys(t, s, "moved", "")
		wantKeys(t, s, "url-removed", "")
		wantKeys(t, s, "to-url", "")
		wantKeys(t, s, "again", "", "one", "two")
		wantKeys(t, s, "same", "", "one", "two")
		wantKeys(t, s, "kept", "", "one", "two")
		wantKeys(t, s, "url-kept", uri)
	}

	// The next change writes what is there, and a key may be registered again.
	_, err := s.UpdateClient(ctx, "removed", store.Cause{}, func(m *store.ClientMetadata) (bool, error) { m.Name = "Another"; return false, nil })
	must(t, err)
	if meta := b.Do("HGET", "mk:c:removed", "meta").(string); strings.Contains(meta, `"one"`) || !strings.Contains(meta, `"two"`) {
		t.Errorf("the metadata is %s", meta)
	}
	setKeys(t, s, "removed", "", "one", "two")
	setKeys(t, s, "moved", uri)
	s.Heartbeat(ctx)
	wantKeys(t, s, "removed", "", "one", "two")
	wantKeys(t, s, "moved", uri)
}

// A marker is named by the thumbprint of its key, of whatever type, and each key has one, from its registration to its
// removal.
func TestMarkersOfKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: ec.Public()}, {Key: ed}, {Key: r.Public(), Algorithm: "PS256", KeyID: "rsa"}, {Key: r.Public(), KeyID: "rsa again"}}})
	must(t, err)
	canonical, set, err := jwks.ParseRegistered(raw)
	must(t, err)
	var thumbprints []string
	for _, k := range set.Keys[:3] {
		thumbprints = append(thumbprints, k.Thumbprint)
	}
	slices.Sort(thumbprints)
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		c := client("a")
		c.Metadata.JWKS = canonical
		must(t, s.CreateClient(ctx, c))
		if diff := cmp.Diff(thumbprints, markers(t, b, "a")); diff != "" {
			t.Errorf("(-thumbprints +markers)\n%s", diff)
		}
		read, err := b.Open(t).Client(ctx, "a")
		must(t, err)
		if diff := cmp.Diff(c.Metadata, read.Metadata); diff != "" {
			t.Errorf("(-created +read)\n%s", diff)
		}
		setKeys(t, s, "a", "https://a.example/keys")
		atURL := markers(t, b, "a")
		setKeys(t, s, "a", "https://b.example/keys")
		if moved := markers(t, b, "a"); len(atURL) != 1 || len(moved) != 1 || moved[0] == atURL[0] {
			t.Errorf("the markers of two URLs are %v and %v", atURL, moved)
		}
		setKeys(t, s, "a", "")
		if left := markers(t, b, "a"); len(left) > 0 {
			t.Errorf("without keys there are the markers %v", left)
		}
	})
}

// A key without its marker is none, for every reader. A set that this version cannot have registered makes the record
// unreadable: it is not known whose keys these are.
func TestKeysWithoutMarkers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		create(t, s, "b")
		setKeys(t, s, "a", "", "one", "two", "three")
		setKeys(t, s, "b", "https://b.example/keys")
		wantKeys(t, s, "a", "", "one", "two", "three")
		setKeys(t, s, "a", "", "one", "two") // so that the marker of the first is known
		one := slices.DeleteFunc(markers(t, b, "a"), func(name string) bool {
			x := sha256.Sum256([]byte("two"))
			sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":%q}`, base64.RawURLEncoding.EncodeToString(x[:])))
			return name == base64.RawURLEncoding.EncodeToString(sum[:])
		})
		b.Do("HDEL", "mk:c:a", "k:"+one[0])
		b.Do("HDEL", "mk:c:b", "k:"+markers(t, b, "b")[0])
		wantKeys(t, s, "a", "", "two")
		wantKeys(t, s, "b", "")
		var page []*store.Client
		must(t, s.EachClient(ctx, func(c *store.Client) { page = append(page, c) }))
		listed, _, err := s.Clients(ctx, "", "", 10)
		must(t, err)
		for _, c := range append(page, listed...) {
			if want := keySet("two"); c.ID == "a" && string(c.Metadata.JWKS) != string(want) || c.ID == "b" && c.Metadata.HasKeys() {
				t.Errorf("listed: %s has the keys %s %s", c.ID, c.Metadata.JWKS, c.Metadata.JWKSURI)
			}
		}

		for _, set := range []string{`7`, `{"keys":[7]}`, `{"keys":[{"kty":"new"}]}`, `{"keys":[{"kty":"EC","crv":"P-256","x":"x"}]}`} {
			b.Do("HSET", "mk:c:a", "meta", `1{"created":"2026-01-02T03:04:05Z","jwks":`+set+`}`)
			_, err := s.Client(ctx, "a")
			wantErr(t, set, err, store.ErrUnavailable)
		}
		b.Do("HSET", "mk:c:a", "meta", `1{"created":"2026-01-02T03:04:05Z","jwks":{"keys":[]}}`)
		wantKeys(t, s, "a", "")
	})
}
