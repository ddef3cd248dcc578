package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestReportedCredentialsAreRevoked is credentials found in the wild: those that are active are revoked, at every replica.
func TestReportedCredentialsAreRevoked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		both := []*servertest.Server{other, s}
		rs, _ := introspectors(t, s)
		u := s.User(t, servertest.M{"email": "leaky@example.com"})
		leaked, kept := s.Key(t, u, nil), s.Key(t, u, nil)
		revoked := s.Key(t, u, nil)
		s.Admin(t, http.MethodDelete, keysPath+"/"+revoked.ID, nil).Want(t, http.StatusNoContent, "")
		client := s.Register(t, servertest.M{"client_id": "leaky", "scope": "read"})
		imported := s.Register(t, servertest.M{"client_id": "importer", "client_secret": strings.Repeat("imported ", 5), "scope": "read"})
		foreign := credential.NewSecret("mk") // created by another installation, and imported by two clients
		importers := []servertest.Client{
			s.Register(t, servertest.M{"client_id": "one", "client_secret": foreign}), s.Register(t, servertest.M{"client_id": "two", "client_secret": foreign}),
		}
		opaque := s.Register(t, servertest.M{"client_id": "opaque", "scope": "read", "access_token_format": "opaque"})
		jwt, token, alive := s.Token(t, client), s.Token(t, opaque), s.Token(t, opaque)
		report := func(t *testing.T, found ...string) servertest.M {
			t.Helper()
			answer := s.Admin(t, http.MethodPost, "/admin/keys/report", servertest.M{"credentials": found}).Want(t, http.StatusOK, "").JSON(t)
			if answer["received"] != float64(len(found)) {
				t.Errorf("received %v of %d", answer["received"], len(found))
			}
			return answer
		}
		found := []string{
			leaked.Plain, leaked.Plain, revoked.Plain, client.Secret, jwt, token, jwt + "x", imported.Secret, foreign, s.AdminToken, credential.NewKey("mk"),
			leaked.Plain[:len(leaked.Plain)-1] + "!", "", "\x00", "é", "*", "mk_", strings.Repeat("a", 9000), leaked.ID, kept.ID, u.ID, ".", "..", "e30.e30.",
		}
		if got := report(t, found...); got["live"] != 6.0 {
			t.Errorf("got %v, want the key, the three secrets, the JWT and the opaque token", got)
		}
		accepted(t, "reported as leaked", both, rs, leaked, false)
		accepted(t, "not leaked", both, rs, kept, true)
		for _, dead := range []string{jwt, token} {
			wantInactive(t, other, rs, dead, "reported as leaked")
		}
		if !other.Active(t, rs, alive) {
			t.Error("a token that did not leak is inactive")
		}
		other.Post(t, "/oauth/token", grantCC, client.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
		for _, c := range append(importers, imported) {
			other.Post(t, "/oauth/token", grantCC, c.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
		}
		if end, _ := other.Admin(t, http.MethodGet, keysPath+"/"+leaked.ID, nil).JSON(t)["ended"].(servertest.M); end["reason"] != "reported as leaked" || end["by"] != "admin-token" {
			t.Errorf("the key ended so: %v", end)
		}
		for range 2 {
			if got := report(t, found...); got["live"] != 0.0 {
				t.Errorf("again: got %v", got)
			}
		}
		for target, want := range map[string][]string{
			"key:" + leaked.ID: {"key.created", "key.leaked"}, "key:" + revoked.ID: {"key.created", "key.revoked"}, "key:" + kept.ID: {"key.created"},
			"client:opaque": {"client.created", "token.leaked"}, "client:importer": {"client.created", "secret.leaked"},
			"client:one": {"client.created", "secret.leaked"}, "client:two": {"client.created", "secret.leaked"},
		} {
			if diff := cmp.Diff(want, actionsOn(t, s, target)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", target, diff)
			}
		}
		if got := strings.Join(actionsOn(t, s, "client:leaky"), " "); got != "client.created secret.leaked token.leaked" && got != "client.created token.leaked secret.leaked" {
			t.Errorf("client:leaky: got %s", got)
		}
		t.Run("a malformed report", func(t *testing.T) {
			for _, bad := range []any{nil, []string{}, make([]string, 1001), "mk_x", 7, []any{7}, []any{kept.Plain, nil, servertest.M{}}, servertest.M{}} {
				got := s.Admin(t, http.MethodPost, "/admin/keys/report", servertest.M{"credentials": bad}).Want(t, http.StatusBadRequest, "invalid_request")
				if !strings.Contains(got.Body, "credentials: ") {
					t.Errorf("%.40v: %s", bad, got.Body)
				}
			}
			s.Admin(t, http.MethodPost, "/admin/keys/report", servertest.M{}).Want(t, http.StatusBadRequest, "invalid_request")
			s.Admin(t, http.MethodPost, "/admin/keys/report", servertest.M{"credentials": []string{strings.Repeat("a", 70_000)}}).
				Want(t, http.StatusRequestEntityTooLarge, "invalid_request")
			accepted(t, "in a report that was refused", both, rs, kept, true)
		})
		t.Run("as many as are allowed", func(t *testing.T) {
			many := make([]string, 1000)
			for i := range many {
				many[i] = credential.NewKey("mk")
			}
			many[999] = kept.Plain
			if got := report(t, many...); got["live"] != 1.0 {
				t.Errorf("got %v", got)
			}
			accepted(t, "reported as leaked", both, rs, kept, false)
		})
	})
}

// TestStats is the statistics that operators see.
func TestStats(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		stats := func(t *testing.T) (servertest.M, []any) {
			t.Helper()
			for _, replica := range []*servertest.Server{s, other} {
				if err := replica.Store.Flush(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			got := other.Admin(t, http.MethodGet, "/admin/stats", nil).Want(t, http.StatusOK, "").JSON(t)
			minutes := got["tokens"].([]any)
			if len(minutes) != 60 {
				t.Fatalf("got %d minutes, want 60", len(minutes))
			}
			return got, minutes
		}
		counts := func(minute any) string {
			m := minute.(servertest.M)
			return fmt.Sprint(m["issued"], " ", m["refused"])
		}
		if got, minutes := stats(t); got["clients"] != 0.0 || got["users"] != 0.0 || got["live_keys"] != 0.0 || counts(minutes[59]) != "0 0" {
			t.Errorf("got %v at the beginning", got)
		}
		c := s.Register(t, servertest.M{"scope": "read"})
		u, gone := s.User(t, servertest.M{"email": "a@b"}), s.User(t, servertest.M{"email": "c@d"})
		s.Key(t, u, nil)
		ended := s.Key(t, u, nil)
		s.Key(t, gone, nil)
		s.Admin(t, http.MethodDelete, keysPath+"/"+ended.ID, nil).Want(t, http.StatusNoContent, "")
		s.Admin(t, http.MethodDelete, usersPath+"/"+gone.ID, nil).Want(t, http.StatusNoContent, "")
		s.Token(t, c)
		other.Token(t, c)
		s.Post(t, "/oauth/token", grantCC+"&scope=write", c.Basic()).Want(t, http.StatusBadRequest, "invalid_scope")
		other.Post(t, "/oauth/token", grantCC, servertest.Client{ID: c.ID, Secret: "wrong"}.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
		other.Post(t, "/oauth/token", "grant_type=password", c.Basic()).Want(t, http.StatusBadRequest, "unsupported_grant_type")
		got, minutes := stats(t)
		if got["clients"] != 1.0 || got["users"] != 1.0 || got["live_keys"] != 1.0 {
			t.Errorf("got %v, want one of each", got)
		}
		this := b.Clock.Now().Truncate(time.Minute).Format(time.RFC3339)
		if last := minutes[59].(servertest.M); counts(last) != "2 3" || last["minute"] != this {
			t.Errorf("got %v, want 2 issued and 3 refused in the minute of %s", last, this)
		}
		b.Clock.Advance(59 * time.Minute)
		s.Token(t, c)
		if _, minutes := stats(t); counts(minutes[0]) != "2 3" || counts(minutes[59]) != "1 0" {
			t.Errorf("59 minutes later: got %v and %v", minutes[0], minutes[59])
		}
		b.Clock.Advance(time.Minute)
		if _, minutes := stats(t); counts(minutes[0]) != "0 0" || counts(minutes[58]) != "1 0" {
			t.Errorf("an hour later: got %v and %v", minutes[0], minutes[58])
		}
	})
}
