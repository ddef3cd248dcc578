package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// The procedures of docs/operations.md, as an operator carries them out.

// on is the environment of a replica over the past, under the master keys.
func (p *past) on(masterKeys string) []string {
	return []string{
		"MINTKEEP_REDIS_URL=" + p.redis.URL(), "MINTKEEP_ISSUER=" + processtest.Issuer, "MINTKEEP_ADMIN_TOKEN=" + processtest.AdminToken,
		"MINTKEEP_MASTER_KEY=" + masterKeys, "MINTKEEP_SIGNING_ROTATION=0",
	}
}

// "Upgrading": replicas of this version take over from others, on the records that an earlier version left, and no
// request fails.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	p := thePast(t)
	f := newFleet(t, p.on(p.MasterKey))
	stop := f.trickle(p)
	f.signIn("Ada@example.com", p.Password)
	f.roll(p.on(p.MasterKey))
	f.signIn("Ada@example.com", p.Password)
	stop()
	for path, want := range map[string]string{"/admin/clients": `"billing"`, "/admin/users": `"usr_bob"`, "/admin/keys": `"key_5"`, "/admin/audit": `"client:billing"`} {
		if got := f.Admin(http.MethodGet, path, ""); !got.Is(http.StatusOK) || !strings.Contains(got.Body, want) {
			t.Errorf("%s: got %s, want %s in it", path, got, want)
		}
	}
}

// "Changing the master key": old, then old and new, then new and old, rekey, rekey as after a leak, then new; no request
// fails, the old key opens nothing any more, and no key that it sealed signs.
func TestMasterKeyChange(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("TestRollingUpgrade replaces replicas too, with the race detector")
	}
	p, fresh := thePast(t), processtest.MasterKey
	f := newFleet(t, p.on(p.MasterKey))
	stop := f.trickle(p)
	f.roll(p.on(p.MasterKey + "," + fresh))
	f.roll(p.on(fresh + "," + p.MasterKey))
	if got := mintkeep(t, p.on(fresh+","+p.MasterKey), "", "rekey", "--yes"); got.code != exitOK || !strings.HasPrefix(got.stdout, "Re-encrypted 2 signing keys and 1 password hash; ") {
		t.Errorf("rekey: %+v", got)
	}
	leaked := f.replicas[0].Get("/.well-known/jwks.json").Body
	if got := mintkeep(t, p.on(fresh+","+p.MasterKey), "", "rekey", "--yes", "--compromised"); got.code != exitOK || !strings.Contains(got.stdout, "Replaced 2 signing keys.") {
		t.Errorf("rekey --compromised: %+v", got)
	}
	f.signIn("Ada@example.com", p.Password)
	f.roll(p.on(fresh))
	f.signIn("Ada@example.com", p.Password)
	stop()
	for _, r := range f.replicas {
		if kid := kidOf(t, r.Token(t, p.billing())); strings.Contains(leaked, kid) {
			t.Errorf("%s signs, which the old master key sealed", kid)
		}
	}
	if got := mintkeep(t, p.on(p.MasterKey), "", "rekey", "--dry-run"); got.code != exitFailed || !strings.Contains(got.stderr, "3 records") {
		t.Errorf("rekey under the old key: %+v", got)
	}
}

// "Signing keys": a rotation by hand. Each replica publishes at once what any of them signs with, also while it has
// not heard of the rotation.
func TestSigningKeyRotation(t *testing.T) {
	t.Parallel()
	p := thePast(t)
	f := newFleet(t, p.on(p.MasterKey))
	a, b := f.replicas[0], f.replicas[1]
	before := kidOf(t, b.Token(t, p.billing()))
	if got := a.Admin(http.MethodPost, "/admin/signing-keys/rotate", "{}"); !got.Is(http.StatusCreated) {
		t.Fatalf("rotate: %s", got)
	}
	after := kidOf(t, a.Token(t, p.billing()))
	if after == before {
		t.Error("the rotation changed nothing")
	}
	for name, r := range map[string]*processtest.Server{"the one that rotated": a, "the other": b} {
		got := r.Get("/.well-known/jwks.json")
		if got.Err != nil || !strings.Contains(got.Body, before) || !strings.Contains(got.Body, after) {
			t.Errorf("%s publishes %s, want %s and %s", name, got, before, after)
		}
		if !r.Introspect(p.billing(), p.JWT).Active() {
			t.Errorf("%s calls a token of before inactive", name)
		}
	}
	if got := b.Admin(http.MethodPost, "/admin/signing-keys/rotate", "{}"); !got.Is(http.StatusConflict) {
		t.Errorf("a second rotation at once: %s, want 409", got)
	}
}

// kidOf is the id of the key that signed a token.
func kidOf(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header struct{ Kid string }
	if err := json.Unmarshal(text, &header); err != nil || header.Kid == "" {
		t.Fatalf("header %s: %v", text, err)
	}
	return header.Kid
}
