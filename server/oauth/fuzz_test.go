package oauth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
)

// Either a header is rejected with one of two answers, or it yields its decoded parts; and every id and secret can be
// encoded (RFC 6749 §2.3.1).
func FuzzBasic(f *testing.F) {
	for _, seed := range []string{"", ":", "a:b", "a:b:c", "%zz:b", "a:%", "a+b:c%2Bd", "\xff:\x00", "a%3Ab:c"} {
		f.Add("Basic "+base64.StdEncoding.EncodeToString([]byte(seed)), "id", seed)
	}
	f.Add("Bearer x", "a:b", "c d")
	f.Add("basic  Og==", "ä", "%+ &=")
	f.Fuzz(func(t *testing.T, header, id, secret string) {
		p, err := parseBasic(header)
		var rejected *web.Error
		switch {
		case err == nil:
			if !strings.EqualFold(header[:6], "basic ") {
				t.Fatalf("%q was taken", header)
			}
		case !errors.As(err, &rejected) || rejected.Status != 400 && rejected.Status != 401:
			t.Fatalf("got %v", err)
		}
		_ = p.check()

		said := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
		p, err = parseBasic("Basic " + said)
		if want := (Presented{ClientID: id, Credential: secret, method: clientSecretBasic{}}); err != nil || p != want {
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
		if registered != "" && !scope.Valid(registered) {
			return // registration rejects it
		}
		granted, err := grantScope(registered, asked)
		if err != nil {
			if web.Code(err) != "invalid_scope" {
				t.Fatalf("got %v", err)
			}
			return
		}
		if !scope.Valid(granted) {
			t.Fatalf("granted %q", granted)
		}
		for token := range strings.SplitSeq(granted, " ") {
			switch {
			case !scope.Has(registered, token):
				t.Fatalf("%q is not registered in %q", token, registered)
			case asked != "" && !scope.Has(asked, token):
				t.Fatalf("%q was not asked for in %q", token, asked)
			case asked == "" && scope.IsOwn(token):
				t.Fatalf("%q was granted without being asked for", token)
			}
		}
	})
}

// What is asked to confirm is rejected with 400, or read as it was sent: each digest with its state, and an owner that may be
// looked up.
func FuzzConfirm(f *testing.F) {
	digest, state := strings.Repeat("A", 43), strings.Repeat("A", 11)
	for _, seed := range []string{
		`{"groups":[{"client":"billing","digests":["` + digest + `"],"states":["` + state + `"]}]}`,
		`{"groups":[{"client":"a","user":"b","digests":["` + digest + `","` + digest[1:] + `B"],"states":["` + state + `"]}]}`,
		`{"groups":[{"user":"` + credential.NewSecret("mk") + `","digests":["` + digest + `"],"states":["` + state + `"]},{}]}`,
		`{"groups":[null,{"digests":null}]}`, `{"groups":{}}`, `{`, `null`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var q confirmRequest
		if json.Unmarshal([]byte(body), &q) != nil {
			return // DecodeJSON rejects it
		}
		groups, err := q.parse()
		if err != nil {
			if web.Code(err) != "invalid_request" {
				t.Fatalf("got %v", err)
			}
			return
		}
		total := 0
		for i, g := range groups {
			total += len(g.digests)
			for j := range g.digests {
				got := base64.RawURLEncoding.EncodeToString(g.digests[j][:]) + base64.RawURLEncoding.EncodeToString(g.states[j][:])
				if want := q.Groups[i].Digests[j] + q.Groups[i].States[j]; got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
			if len(g.states) != len(g.digests) || g.client == "" && g.user == "" || credential.WellFormed(g.client) || credential.WellFormed(g.user) {
				t.Fatalf("%+v passes", g)
			}
		}
		if total < 1 || total > 1000 {
			t.Fatalf("%d digests pass", total)
		}
	})
}
