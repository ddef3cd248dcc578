package bearer_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const issuer = "https://auth.example.com"

func jwt(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

// What cannot be one of ours never reaches the store; the store of this verifier is not there at all.
func TestParse(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	v := &bearer.Verifier{Issuer: issuer, Now: func() time.Time { return now }}
	key := credential.NewKey("mk")
	claims := func(iss string, exp int64) string { return jwt(fmt.Sprintf(`{"iss":%q,"exp":%d}`, iss, exp)) }
	for presented, want := range map[string]bool{
		key: true, credential.NewToken("mk"): true, credential.NewSecret("mk"): true, credential.NewKey("other"): true,
		claims(issuer, now.Unix()+1): true,
		claims(issuer, now.Unix()):   false, claims(issuer, 0): false, claims(issuer+"/", now.Unix()+1): false, claims("", now.Unix()+1): false,
		"": false, "junk": false, key[1:]: false, key[:len(key)-1]: false, key + "0": false, strings.ToUpper(key): false,
		"a.b.c": false, "..": false, jwt("null"): false, jwt("[]"): false, jwt(`{"exp":"1"}`): false, jwt(`{`): false, claims(issuer, now.Unix()+1) + ".x": false,
		"e30." + strings.Repeat("A", 9<<10) + ".x": false, strings.Repeat(key, 1000): false,
	} {
		shown, plausible := v.Parse(presented)
		if plausible != want || plausible != (shown.Digest == store.DigestOf(presented)) {
			t.Errorf("%.60q: got %v, %x", presented, plausible, shown.Digest)
		}
	}
}

// A key's scope is what it may do at this moment.
func TestPrincipalScope(t *testing.T) {
	term, another := store.NewGeneration(), store.NewGeneration()
	const all, rest = "read " + scope.Admin + " write", "read write"
	for i, tt := range []struct {
		made, now store.Generation
		want      string
	}{
		{term, term, all}, {term, another, rest}, {term, store.Generation{}, rest}, {store.Generation{}, term, rest}, {store.Generation{}, store.Generation{}, rest},
	} {
		h := &bearer.Principal{Key: &store.KeyRecord{Scope: all, Operator: tt.made}, User: &store.User{ID: "usr_x", Operator: tt.now}}
		if got := h.Scope(); got != tt.want {
			t.Errorf("%d: got %q, want %q", i, got, tt.want)
		}
	}
}

// A key expires by the clock, though its record be there still.
func TestKeyExpiresByTheClock(t *testing.T) {
	b := storetest.Embedded(t)
	s, ctx := b.Open(t), t.Context()
	now := b.Clock.Now()
	v := &bearer.Verifier{Store: s, Issuer: issuer, Now: func() time.Time { return now }}
	u := &store.User{ID: store.NewUserID(), Metadata: store.UserMetadata{Email: "a@example.com", CreatedAt: now}}
	if err := s.CreateUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	plain := credential.NewKey("mk")
	k := &store.APIKey{ID: store.NewKeyID(now), Digest: store.DigestOf(plain), UserID: u.ID, Name: "x", CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
	if err := s.CreateKey(ctx, k, u); err != nil {
		t.Fatal(err)
	}
	shown, _ := v.Parse(plain)
	for _, tt := range []struct {
		after time.Duration
		live  bool
	}{{0, true}, {time.Minute - time.Millisecond, true}, {time.Minute, false}, {time.Hour, false}} {
		now = k.CreatedAt.Add(tt.after)
		h, err := v.Resolve(ctx, shown)
		if err != nil || (h != nil) != tt.live {
			t.Errorf("after %v: got %v, %v", tt.after, h, err)
		}
	}
}
