package store_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func leastRights() string { return storetest.DocumentedRights("mintkeep") }

// grant gives the user "mint" these rights alone.
func grant(t *testing.T, srv *storetest.Server, rules string) {
	t.Helper()
	args := []any{"ACL", "SETUSER", "mint", "reset", "on", ">hunter2"}
	for rule := range strings.FieldsSeq(rules) {
		args = append(args, rule)
	}
	if _, err := srv.Do(args...); err != nil {
		t.Fatal(err)
	}
}

func asMint(o *store.Options) { o.URL = strings.Replace(o.URL, "://", "://mint:hunter2@", 1) }

// A right that is taken away is reported, and no other.
func TestDeniedRights(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	grant(t, srv, leastRights())
	s := srv.Backend(t).Open(t, asMint)
	missing := func() (rules []string) {
		t.Helper()
		for _, right := range examine(t, s).Nodes[0].Denied {
			if right.Optional {
				right.Rule += "?"
			}
			rules = append(rules, right.Rule)
		}
		return rules
	}
	for i, trial := range slices.Concat([]string{""}, store.Access.Commands, store.Access.Optional) {
		var want []string
		taken := ""
		if trial != "" {
			rule := redisdb.RuleOf(trial)
			taken, want = strings.Replace(rule, "+", " -", 1), []string{rule}
			if i > len(store.Access.Commands) {
				want[0] += "?"
			}
		}
		grant(t, srv, leastRights()+taken)
		if diff := cmp.Diff(want, missing()); diff != "" {
			t.Errorf("without %s: missing (-want +got)\n%s", trial, diff)
		}
	}
	for keys, want := range map[string][]string{
		"~mk:[^ct]* ~mk:clients:*": {"~mk:c:*", "~mk:t:*"},
		"~mk:c*":                   {"~mk:*"},
		"~other:*":                 {"~mk:*"},
		"~mk:[^s]* ~mk:s:* ~mk:secrets ~mk:secrets:* ~mk:signing-keys": {"~mk:signing-keys:claim:*"},
	} {
		grant(t, srv, strings.Replace(leastRights(), "~mk:*", keys, 1))
		if diff := cmp.Diff(want, missing()); diff != "" {
			t.Errorf("with %s: missing (-want +got)\n%s", keys, diff)
		}
	}
}

// A missing right must be noticed for the keys of today, not for those of an earlier version.
func TestRightsKnowEveryKey(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	must(t, err)
	var keys []string
	for _, match := range regexp.MustCompile(`(?m)^//\t(mk:\S*)`).FindAllStringSubmatch(string(doc), -1) {
		key, _, open := strings.Cut(match[1], "<")
		if open {
			key += "*"
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	want := slices.Sorted(slices.Values(store.Access.Keys))
	if diff := cmp.Diff(slices.Compact(keys), want); diff != "" {
		t.Errorf("keys (-doc.go +rights.go)\n%s", diff)
	}
}

// With the least rights everything works, and every command that is sent is one that the ACL probes try.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	grant(t, srv, leastRights())
	b := srv.Backend(t)
	s := b.Open(t, asMint)
	liveALittle(t, b, s)

	stats, err := srv.Do("INFO", "commandstats")
	must(t, err)
	tried := map[string]bool{}
	for _, trial := range store.Access.Commands {
		tried[strings.TrimPrefix(redisdb.RuleOf(trial), "+")] = true
	}
	for _, match := range regexp.MustCompile(`cmdstat_(\S+?):\S*rejected_calls=(\d+)`).FindAllStringSubmatch(stats.(string), -1) {
		command := match[1]
		if match[2] != "0" {
			t.Errorf("%s was refused", command)
		}
		connecting := slices.Contains([]string{"hello", "auth", "client|setname", "client|info", "select"}, command)
		ours := slices.Contains([]string{"acl|setuser", "ping", "info", "scan"}, command)
		if !tried[command] && !connecting && !ours {
			t.Errorf("the store sends %s, which rights.go does not try", command)
		}
	}
}

// liveALittle calls something of everything.
func liveALittle(t *testing.T, b *storetest.Backend, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	create(t, s, "a")
	must(t, s.RevokeToken(ctx, issue(t, b, s, "a", "token"), store.Cause{}))
	_, err := s.AddSecret(ctx, "a", secret(b, "sec_2"), b.Clock.Now().Add(time.Hour), store.Cause{})
	must(t, err)
	must(t, s.RevokeSecret(ctx, "a", "sec_2", store.Cause{}))
	must(t, s.RevokeClientTokens(ctx, "a", store.Cause{}))
	must(t, s.DisableClient(ctx, "a", store.Cause{}))
	must(t, s.EnableClient(ctx, "a", store.Cause{}))
	_, _, err = s.Clients(ctx, "a", "", 10)
	must(t, err)

	u := add(t, s, "ann@example.com")
	k := makeKey(t, b, s, u, "ci", time.Hour)
	next := makeKey(t, b, s, u, "next", 0)
	must(t, s.ExpireKey(ctx, k, b.Clock.Now().Add(time.Minute), next.ID, store.Cause{}))
	_, err = s.RevokeKey(ctx, next.ID, ended(b, ""))
	must(t, err)
	d := enter(t, s, u.ID, "cookie")
	if !in(t, s, d) {
		t.Error("the session is not there")
	}
	must(t, s.RevokeSession(ctx, u.ID, d, store.Cause{}))
	must(t, s.Audit(ctx, store.Event{}))
	events(t, s, store.EventFilter{})
	count(s, 3, "tokens")
	s.CountIssued("a")
	s.CountRejected("a", "invalid_scope", "")
	calls(t, 2, "a", store.Rate{Count: 10, Window: time.Minute}, s)
	must(t, s.ReplaceKeyring(ctx, nil, keyring("a")))
	fail(t, 1, "192.0.2.1", func(int) (*store.Store, string) { return s, "a" })
	must(t, store.PurgeKeys(ctx, s))
	must(t, store.SweepKeys(ctx, s))
	must(t, store.SweepSecrets(ctx, s))
	must(t, s.Flush(ctx))
	_, _, err = s.TopClients(ctx, 5)
	must(t, err)
	must(t, s.DeleteUser(ctx, u.ID, ended(b, "")))
	must(t, s.DeleteClient(ctx, "a", store.Cause{}))
	for _, c := range s.ScanRecords(ctx, 10, nil, nil) {
		must(t, c.Err)
	}
}
