package clients_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// The key set of a client is fetched once before the client is registered, or changed to another URL; what is wrong with
// it rejects the request. It is not fetched if the operator says so, or for another change.
func TestKeySetIsFetchedOnce(t *testing.T) {
	b := storetest.Embedded(t)
	s := b.Open(t)
	var fetched []string
	var broken error
	g := &clients.Registry{
		Store: s, Config: &config.Config{TokenTTLMax: time.Hour}, Audit: &audit.Log{Store: s, Now: b.Clock.Now}, Now: b.Clock.Now,
		Offers: clients.Offers{AuthMethods: []string{"private_key_jwt"}, GrantTypes: []string{"client_credentials"}},
		CheckURI: func(uri string) error {
			if strings.Contains(uri, "127.0.0.1") {
				return errors.New("must not be a private address")
			}
			return nil
		},
		CheckKeys: func(_ context.Context, uri string) error {
			fetched = append(fetched, uri)
			return broken
		},
	}
	by := audit.Tool("test")
	const one, two = "https://one.example/keys", "https://two.example/keys"
	object := func(id, uri string) web.Object { return web.ObjectOf(map[string]any{"client_id": id, "jwks_uri": uri}) }
	wantFetched := func(want ...string) {
		t.Helper()
		if !slices.Equal(fetched, want) {
			t.Errorf("fetched %q, want %q", fetched, want)
		}
		fetched = nil
	}
	register := func(g *clients.Registry, id, uri string) error {
		_, _, err := g.Register(t.Context(), object(id, uri), by)
		return err
	}
	patch := func(g *clients.Registry, o web.Object) error {
		_, err := g.Patch(t.Context(), "a", o, by)
		return err
	}
	wantOK := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	wantOK(register(g, "a", one))
	wantFetched(one)
	wantOK(patch(g, web.ObjectOf(map[string]any{"client_name": "A"})))
	wantOK(patch(g, web.ObjectOf(map[string]any{"jwks_uri": one})))
	wantFetched()
	wantOK(patch(g, web.ObjectOf(map[string]any{"jwks_uri": two})))
	wantFetched(two)

	broken = errors.New(`the answer is no "JSON"`)
	for _, err := range []error{register(g, "b", one), patch(g, web.ObjectOf(map[string]any{"jwks_uri": one}))} {
		var answered *web.Error
		if !errors.As(err, &answered) || answered.Status != 400 || answered.Code != "invalid_client_metadata" || answered.Description != "jwks_uri: the answer is no 'JSON'" {
			t.Errorf("got %v", err)
		}
	}
	wantFetched(one, one)
	if c, err := s.Client(t.Context(), "a"); err != nil || c.Metadata.JWKSURI != two {
		t.Errorf("got %q, %v", c.Metadata.JWKSURI, err)
	}
	if _, err := s.Client(t.Context(), "b"); err == nil {
		t.Error("it is registered")
	}

	wantOK(register(g.WithoutFetch(), "c", one))
	wantOK(patch(g.WithoutFetch(), web.ObjectOf(map[string]any{"jwks_uri": one})))
	if err := register(g.WithoutFetch(), "d", "https://127.0.0.1/keys"); err == nil || !strings.Contains(err.Error(), "private address") {
		t.Errorf("the form of the URL is checked without a fetch too: got %v", err)
	}
	wantFetched()
}
