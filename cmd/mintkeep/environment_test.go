package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// plainHTTP is what the user is told before a credential travels unprotected.
const plainHTTP = "mintkeep: warning: MINTKEEP_URL is plain http off loopback: the credential and the answer travel unprotected; use https\n"

// elsewhere is the address of a server of this machine in a form that is no loopback address.
func elsewhere(url string) string { return strings.Replace(url, "127.0.0.1", "0.0.0.0", 1) }

// A credential that is sent in plain text over a network is warned of. What a script reads stays as it is.
func TestPlainHTTP(t *testing.T) {
	endpoint, _ := tokenEndpoint(t, http.StatusOK, issued("mkt_abc"))
	server := newAdmin(t, says(http.StatusOK, `{"items":[]}`))
	for _, test := range []struct {
		environ []string
		args    []string
	}{
		{endpoint, []string{"token"}},
		{server.environ(), []string{"client", "list", "--json"}},
		{server.environ(), []string{"user", "list"}},
		{server.environ(), []string{"audit"}},
	} {
		loopback := mintkeep(t, test.environ, "", test.args...)
		if loopback.code != exitOK || strings.Contains(loopback.stderr, "warning") {
			t.Errorf("%q on loopback: got %+v", test.args, loopback)
		}
		want := loopback
		want.stderr = plainHTTP + want.stderr
		if slices.Contains(test.args, "--json") {
			text := strings.TrimPrefix(strings.TrimSpace(plainHTTP), "mintkeep: warning: ")
			want.stderr = `{"warning":"` + text + "\"}\n" + loopback.stderr
		}
		environ := append([]string{elsewhere(test.environ[0])}, test.environ[1:]...)
		if got := mintkeep(t, environ, "", test.args...); got != want {
			t.Errorf("%q: got %+v, want %+v", test.args, got, want)
		}
	}
}

// The warning comes before anything is sent: here nothing can be.
func TestPlainHTTPWarnsFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		url    string
		warned bool
	}{
		{"http://auth.example.com", true},
		{"HTTP://10.0.0.7:8080", true},
		{"http://[2001:db8::1]", true},
		{"https://auth.example.com", false},
		{"http://localhost:8080", false},
		{"http://mintkeep.localhost", false},
		{"http://127.8.9.10:8080", false},
		{"http://[::1]:8080", false},
	} {
		for _, command := range [][]string{{"token"}, {"client", "list"}} {
			var stderr strings.Builder
			code := run(ctx, process{args: command, stdin: strings.NewReader(""), stdout: &stderr, stderr: &stderr, environ: []string{
				"MINTKEEP_URL=" + test.url, "MINTKEEP_ADMIN_TOKEN=" + testToken, "MINTKEEP_CLIENT_ID=a", "MINTKEEP_CLIENT_SECRET=s",
			}})
			if got := strings.HasPrefix(stderr.String(), plainHTTP); got != test.warned || code != exitFailed {
				t.Errorf("%s, %q: exit %d and %q; warned first: %v, want %v", test.url, command, code, stderr.String(), got, test.warned)
			}
			if strings.Contains(stderr.String(), testToken) {
				t.Errorf("the credential is shown: %s", stderr.String())
			}
		}
	}
}
