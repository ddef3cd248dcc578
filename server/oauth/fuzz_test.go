package oauth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/web"
)

// Either a header is refused with one of two answers, or it says what its decoded parts say; and every id and
// secret can be said (RFC 6749 §2.3.1).
func FuzzBasic(f *testing.F) {
	for _, seed := range []string{"", ":", "a:b", "a:b:c", "%zz:b", "a:%", "a+b:c%2Bd", "\xff:\x00", "a%3Ab:c"} {
		f.Add("Basic "+base64.StdEncoding.EncodeToString([]byte(seed)), "id", seed)
	}
	f.Add("Bearer x", "a:b", "c d")
	f.Add("basic  Og==", "ä", "%+ &=")
	f.Fuzz(func(t *testing.T, header, id, secret string) {
		p, err := parseBasic(header)
		var refused *web.Error
		switch {
		case err == nil:
			if !strings.EqualFold(header[:6], "basic ") {
				t.Fatalf("%q was taken", header)
			}
		case !errors.As(err, &refused) || refused.Status != 400 && refused.Status != 401:
			t.Fatalf("got %v", err)
		}
		_ = p.check()

		said := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
		p, err = parseBasic("Basic " + said)
		if want := (presented{id: id, secret: secret, method: basicAuth}); err != nil || p != want {
			t.Fatalf("got %+v, %v; want %+v", p, err, want)
		}
		if p.check() == nil && (id == "" || secret == "" || len(id) > maxClientID || len(secret) > maxSecret || strings.ContainsAny(id+secret, "\x00\r\n\x1b\x7f")) {
			t.Fatalf("%+v passes", p)
		}
	})
}

// What is granted was asked for, or was to be had without asking, is registered, and is well-formed.
func FuzzScope(f *testing.F) {
	f.Add("read write", "read")
	f.Add("read write", "")
	f.Add("read mintkeep:admin", "")
	f.Add("read mintkeep:admin", "mintkeep:admin read read")
	f.Add("read", " read")
	f.Add("", "\"")
	f.Fuzz(func(t *testing.T, registered, asked string) {
		if registered != "" && !scopeGrammar(registered) {
			return // registration refuses it
		}
		granted, err := grantScope(registered, asked)
		if err != nil {
			if web.Code(err) != "invalid_scope" {
				t.Fatalf("got %v", err)
			}
			return
		}
		if !scopeGrammar(granted) {
			t.Fatalf("granted %q", granted)
		}
		for token := range strings.SplitSeq(granted, " ") {
			switch {
			case !HasScope(registered, token):
				t.Fatalf("%q is not registered in %q", token, registered)
			case asked != "" && !HasScope(asked, token):
				t.Fatalf("%q was not asked for in %q", token, asked)
			case asked == "" && strings.HasPrefix(token, ownScopes):
				t.Fatalf("%q was granted without being asked for", token)
			}
		}
	})
}

// A token is read without a panic, and what it says survives being written again.
func FuzzPeek(f *testing.F) {
	jwt := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	for _, seed := range []string{
		"", ".", "..", "...", "a.b.c", jwt(`{}`), jwt(`null`), jwt(`{"aud":null}`), jwt(`{"aud":[]}`), jwt(`{"aud":"a"}`), jwt(`{"aud":["a","b"]}`),
		jwt(`{"aud":{}}`), jwt(`{"exp":1e999}`), jwt(`{"exp":9223372036854775807}`), jwt(`{"exp":"1"}`), jwt(strings.Repeat("[", 11_000)),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c := peek(token)
		if c == nil {
			return
		}
		if strings.Count(token, ".") != 2 {
			t.Fatalf("%q is no compact JWS", token)
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again := peek(jwt(string(written)))
		if again == nil {
			t.Fatalf("%s is not read again", written)
		}
		if len(c.Audience) == 0 { // null and [] are as good as none
			c.Audience, again.Audience = nil, nil
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
