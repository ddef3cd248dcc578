package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
)

func sha256Hex(secret string) string {
	digest := store.DigestOf(secret)
	return fmt.Sprintf("%x", digest[:])
}

// TestApplySecrets: the file has a digest, and the client authenticates with the secret; a secret in a file that is named stays
// where it is; else the server creates one, which is printed once. The log and Redis have none of them.
func TestApplySecrets(t *testing.T) {
	s := newApplyServer(t)
	first, second, inFile := strings.Repeat("first ", 8), strings.Repeat("second ", 8), strings.Repeat("third ", 8)
	for _, secret := range []string{first, second, inFile} {
		s.Secret(secret)
	}
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(inFile+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	document := func(digests ...string) string {
		return declaration("billing: {scope: [read], secrets: [{sha256: "+strings.Join(digests, "}, {sha256: ")+"}]}", "orders: {scope: [read], secret_file: "+path+"}", "reports: {scope: [read]}")
	}
	got := s.apply(t, document(sha256Hex(first))).want(t, exitOK, "client reports: secret mks_", "not shown again")
	if strings.Contains(got.stdout+got.stderr, strings.TrimSpace(inFile)) {
		t.Error("the secret in the file is printed")
	}
	s.Token(t, servertest.Client{ID: "billing", Secret: first})
	s.Token(t, servertest.Client{ID: "orders", Secret: inFile})
	s.apply(t, document(sha256Hex(first))).want(t, exitOK, "Nothing to do")

	// Both are valid while both are declared, without an expiry.
	s.apply(t, document(sha256Hex(first), sha256Hex(second))).want(t, exitOK)
	s.Clock.Advance(1000 * time.Hour)
	s.Token(t, servertest.Client{ID: "billing", Secret: first})
	s.apply(t, document(sha256Hex(first), sha256Hex(second)), "--dry-run").want(t, exitOK)

	s.apply(t, document(sha256Hex(second)), "--dry-run").want(t, exitDiffers, "(revokes 1 secret)")
	s.apply(t, document(sha256Hex(second)), "--yes").want(t, exitOK)
	s.Post(t, "/oauth/token", "grant_type=client_credentials", servertest.Client{ID: "billing", Secret: first}.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
	s.Token(t, servertest.Client{ID: "billing", Secret: second})

	// One in the place of another: the other stays valid for the overlap, and nothing is asked.
	s.apply(t, document(sha256Hex(first))).want(t, exitOK)
	s.Token(t, servertest.Client{ID: "billing", Secret: second})
	s.apply(t, document(sha256Hex(first)), "--dry-run").want(t, exitOK)
	s.Clock.Advance(25 * time.Hour)
	s.Post(t, "/oauth/token", "grant_type=client_credentials", servertest.Client{ID: "billing", Secret: second}.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
	s.apply(t, document(sha256Hex(first)), "--dry-run").want(t, exitOK)
}

// TestApplyTakesARotationBack: a declared secret that expires does not expire any more, no matter who set the expiry, and no request with it
// is rejected meanwhile. Nothing is revoked, so nothing is asked.
func TestApplyTakesARotationBack(t *testing.T) {
	s := newApplyServer(t)
	first, second := strings.Repeat("first ", 8), strings.Repeat("second ", 8)
	s.Secret(first)
	s.Secret(second)
	document := func(digests ...string) string {
		return declaration("billing: {scope: [read], secrets: [{sha256: " + strings.Join(digests, "}, {sha256: ") + "}]}")
	}
	works := func(secret string, want bool) {
		t.Helper()
		answer := s.Post(t, "/oauth/token", "grant_type=client_credentials", servertest.Client{ID: "billing", Secret: secret}.Basic())
		if got := answer.Status == http.StatusOK; got != want {
			t.Errorf("%s: got status %d", secret, answer.Status)
		}
	}
	a, b := sha256Hex(first), sha256Hex(second)
	for name, tt := range map[string]struct {
		then     func() // the client has the first secret
		declared []string
		second   bool // is valid afterwards
	}{
		"by the file":            {func() { s.apply(t, document(b)).want(t, exitOK) }, []string{a}, false},
		"by the file, both then": {func() { s.apply(t, document(b)).want(t, exitOK) }, []string{a, b}, true},
		"by an operator":         {func() { s.rotate(t, "billing") }, []string{a}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s.Admin(t, http.MethodDelete, "/admin/clients/billing", nil)
			s.apply(t, document(a)).want(t, exitOK)
			s.Clock.Advance(time.Minute)
			tt.then()
			s.Clock.Advance(time.Hour)
			s.before = func(*http.Request) bool { works(first, true); return true }
			s.apply(t, document(tt.declared...)).want(t, exitOK, "secrets sha256 "+a[:8]+"… expiring → sha256 "+a[:8]+"…\n")
			s.before = nil
			s.Clock.Advance(100 * time.Hour)
			s.apply(t, document(tt.declared...), "--dry-run").want(t, exitOK, "Nothing to do")
			works(first, true)
			works(second, tt.second)
		})
	}
}

// rotate is what an operator does manually.
func (s *applyServer) rotate(t *testing.T, id string) {
	t.Helper()
	got := mintkeep(t, s.environ(""), "", "client", "rotate", id, "--json").want(t, exitOK)
	var rotated struct {
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &rotated); err != nil {
		t.Fatal(err)
	}
	s.Secret(rotated.Secret)
}
