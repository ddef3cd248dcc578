package store_test

import (
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// New connections authenticate by the new password. What is open stays, and what Redis rejects is not taken.
func TestReplaceCredentials(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...string) *storetest.Server{"single": storetest.Redis, "cluster": storetest.Cluster} {
		t.Run(name, func(t *testing.T) {
			srv := start(t)
			acl := func(rules ...any) {
				t.Helper()
				if _, err := srv.Do(append([]any{"ACL", "SETUSER", "mint", "on", "~*", "+@all"}, rules...)...); err != nil {
					t.Fatal(err)
				}
			}
			url := func(password string) string { return strings.Replace(srv.URL(), "://", "://mint:"+password+"@", 1) }
			acl(">old")
			s := srv.Backend(t).Open(t, func(o *store.Options) { o.URL = url("old") })
			try := func(want string, wantErr bool) {
				t.Helper()
				if err := s.Ping(t.Context()); err != nil {
					t.Errorf("ping: %v", err)
				}
				changed, err := s.ReplaceCredentials(t.Context(), want)
				if (err != nil) != wantErr || err == nil && !changed {
					t.Errorf("got %v, %v; want an error: %v", changed, err, wantErr)
				}
				if err != nil && (strings.Contains(err.Error(), "old") || strings.Contains(err.Error(), "new")) {
					t.Errorf("the error has a password: %v", err)
				}
			}
			try(url("new"), true) // Redis does not know it yet
			try("redis://mint:new@127.0.0.1:1", true)
			acl(">new")
			try(url("new"), false)
			acl("<old")
			srv.Stop() // all connections are closed
			srv.Start()
			acl(">new")
			await(t, "ping, after all connections were closed", func() error { return s.Ping(t.Context()) })
			if changed, err := s.ReplaceCredentials(t.Context(), url("new")); err != nil || changed {
				t.Errorf("the same again: %v, %v", changed, err)
			}
		})
	}
}
