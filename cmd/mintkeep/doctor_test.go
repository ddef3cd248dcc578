package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/server/doctor"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func leastRights() string { return "on >hunter2 " + storetest.DocumentedRights("mintkeep") }

// With the least rights a server serves, and doctor finds nothing wrong with them; on one server, and on a cluster.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func() *storetest.Server{
		"redis":   func() *storetest.Server { return storetest.Redis(t, "--appendonly", "yes") },
		"cluster": func() *storetest.Server { return storetest.Cluster(t, "--appendonly", "yes") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := begin()
			environ := asMint(t, srv, leastRights())
			r := processtest.StartReady(t, environ...)
			authorization := r.Register(t, `{"scope":"read"}`)
			token := r.Token(t, authorization)
			if !r.Introspect(authorization, token).Active() {
				t.Error("the token is not active")
			}
			doEverything(t, r)
			if stats, err := srv.Do("INFO", "errorstats"); err != nil || strings.Contains(stats.(string), "NOPERM") {
				t.Errorf("a right was missing: %v, %v", stats, err)
			}
			got := mintkeep(t, environ, "", "doctor")
			if got.code != exitOK || !strings.Contains(got.stdout, "mint has all rights that Mintkeep needs") {
				t.Errorf("exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
			}
			if stats, err := srv.Do("INFO", "errorstats"); err != nil || strings.Contains(stats.(string), "NOPERM") {
				t.Errorf("a right was missing for doctor: %v, %v", stats, err)
			}
		})
	}
}

// asMint is the environment of a server with these rights.
func asMint(t *testing.T, srv *storetest.Server, rules string) []string {
	t.Helper()
	args := []any{"ACL", "SETUSER", "mint", "reset"}
	for rule := range strings.FieldsSeq(rules) {
		args = append(args, rule)
	}
	if _, err := srv.Do(args...); err != nil {
		t.Fatal(err)
	}
	return processtest.OnRedis(strings.Replace(srv.URL(), "://", "://mint:hunter2@", 1))
}

// doEverything does what operators do.
func doEverything(t *testing.T, r *processtest.Server) {
	t.Helper()
	user := r.Admin(http.MethodPost, "/admin/users", `{"email":"ann@example.com"}`).Member(t, http.StatusCreated, "id")
	for _, path := range []string{"/admin/clients", "/admin/users", "/admin/keys", "/admin/audit", "/admin/stats", "/admin/signing-keys"} {
		if got := r.Admin(http.MethodGet, path, ""); !got.Is(http.StatusOK) {
			t.Fatalf("%s: %s", path, got)
		}
	}
	if got := r.Admin(http.MethodDelete, "/admin/users/"+user, ""); !got.Is(http.StatusNoContent) {
		t.Fatalf("delete the user: %s", got)
	}
}

// A right that is missing is named, with the rule that grants it.
func TestDoctorNamesTheRight(t *testing.T) {
	srv := storetest.Redis(t)
	for rules, want := range map[string]string{
		leastRights() + " -zadd":                                     "ACL SETUSER mint +zadd",
		strings.Replace(leastRights(), "~mk:*", "~mk:[^t]*", 1):      "ACL SETUSER mint ~mk:t:*",
		leastRights() + " -client|setname":                           "ACL SETUSER mint +client|setname;",
		strings.Replace(leastRights(), "+@write", "+@read +set", 1):  " +hdel ",
		strings.Replace(leastRights(), "resetkeys ~mk:*", "~x:*", 1): "~mk:*",
	} {
		got := mintkeep(t, asMint(t, srv, rules), "", "doctor")
		if got.code != exitFailed || !strings.Contains(got.stdout, want) || strings.Contains(got.stdout+got.stderr, "hunter2") {
			t.Errorf("%s: exit code %d, want %q in\n%s%s", rules, got.code, want, got.stdout, got.stderr)
		}
	}
}

func TestPrintChecks(t *testing.T) {
	checks := []doctor.Check{
		{Name: "a", State: doctor.OK, Found: "fine"},
		{Name: "long name", State: doctor.Fail, Found: strings.Repeat("found ", 20), Fix: "mend it"},
		{Name: "b", State: doctor.Unknown, Found: "a \x1b[31m trick"},
	}
	var plain, coloured bytes.Buffer
	for w, colour := range map[io.Writer]bool{&plain: false, &coloured: true} {
		if err := printChecks(w, checks, colour); err != nil {
			t.Fatal(err)
		}
	}
	found := strings.TrimSpace(strings.Repeat("found ", 14))
	want := "ok    a          fine\n" +
		"FAIL  long name  " + found + "\n" +
		"                 " + strings.TrimSpace(strings.Repeat("found ", 6)) + "\n" +
		"                 → mend it\n" +
		"?     b          a \\x1b[31m trick\n"
	if diff := cmp.Diff(want, plain.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	want = strings.NewReplacer(
		"ok    ", "\x1b[32mok    \x1b[0m", "FAIL  ", "\x1b[1;31mFAIL  \x1b[0m", "?     ", "\x1b[36m?     \x1b[0m").Replace(want)
	if diff := cmp.Diff(want, coloured.String()); diff != "" {
		t.Errorf("in colour (-want +got)\n%s", diff)
	}
}
