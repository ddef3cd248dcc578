package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The exit code says whether a credential is active, and a failure is neither.
func TestIntrospect(t *testing.T) {
	const active = `{"active":true,"scope":"read write","client_id":"billing","token_type":"bearer","exp":1767326645,"iat":1767323045,` +
		`"sub":"billing","aud":["https://a.example","https://b.example"],"iss":"https://auth.example.com","jti":"J1"}`
	const key = `{"active":true,"scope":"read","token_type":"api_key","iat":1767323045,"sub":"usr_1","aud":"https://a.example","iss":"i","jti":"key_1"}`
	for name, tt := range map[string]struct {
		args   string
		answer string
		status int
		want   result
	}{
		"a token": {answer: active, want: result{stdout: `state      active
type       bearer
subject    billing
client id  billing
scope      read write
audience   https://a.example https://b.example
issuer     https://auth.example.com
issued     2026-01-02T03:04:05Z
expires    2026-01-02T04:04:05Z
token id   J1
`}},
		"a key": {answer: key, want: result{stdout: `state     active
type      api_key
subject   usr_1
scope     read
audience  https://a.example
issuer    i
issued    2026-01-02T03:04:05Z
expires   never
token id  key_1
`}},
		"in JSON":           {args: "--json", answer: `{"active":true,"sub":"x"}`, want: result{stdout: "{\n  \"active\": true,\n  \"sub\": \"x\"\n}\n"}},
		"inactive":          {answer: `{"active":false}`, want: result{code: exitInactive, stdout: "state  inactive\n"}},
		"inactive, in JSON": {args: "--json", answer: `{"active":false}`, want: result{code: exitInactive, stdout: "{\n  \"active\": false\n}\n"}},
		"no answer to that": {
			answer: `{"error":"temporarily_unavailable","error_description":"Try again"}`, status: 503,
			want: result{code: exitFailed, stderr: "mintkeep: Try again (503 temporarily_unavailable)\n"},
		},
		"JSON of another server": {
			answer: `{"status":"ok"}`,
			want:   result{code: exitFailed, stderr: "mintkeep: the answer does not say whether the credential is active: is MINTKEEP_URL the address of Mintkeep?\n"},
		},
		"null, in JSON": {
			args: "--json", answer: `null`,
			want: result{code: exitFailed, stderr: `{"error":"failed","error_description":"the answer does not say whether the credential is active: ` +
				`is MINTKEEP_URL the address of Mintkeep?"}` + "\n"},
		},
		"not Mintkeep": {
			answer: `hello`,
			want:   result{code: exitFailed, stderr: "mintkeep: the answer is not JSON: is MINTKEEP_URL the address of Mintkeep?\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id, secret, _ := r.BasicAuth()
				if id != "billing%3A1" || secret != "s%25cret" || r.FormValue("token") != "mk_a" || r.URL.String() != "/oauth/introspect" {
					t.Errorf("got %s with %q, %q and %q", r.URL, id, secret, r.Form)
				}
				if tt.status != 0 {
					w.WriteHeader(tt.status)
				}
				_, _ = io.WriteString(w, tt.answer)
			}))
			t.Cleanup(server.Close)
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte("mk_a\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			environ := []string{"MINTKEEP_URL=" + server.URL, "MINTKEEP_CLIENT_ID=billing:1", "MINTKEEP_CLIENT_SECRET=s%cret"}
			args := append([]string{"introspect"}, strings.Fields(tt.args)...)
			for from, got := range map[string]result{
				"stdin":        mintkeep(t, environ, "mk_a\n", args...),
				"the variable": mintkeep(t, append(environ, "MINTKEEP_TOKEN=mk_a"), "other", args...),
				"a file":       mintkeep(t, append(environ, "MINTKEEP_TOKEN_FILE="+file), "other", args...),
			} {
				if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); d != "" {
					t.Errorf("from %s: (-want +got):\n%s", from, d)
				}
			}
		})
	}
}

func TestIntrospectUsage(t *testing.T) {
	environ := []string{"MINTKEEP_CLIENT_ID=billing", "MINTKEEP_CLIENT_SECRET=s"}
	for _, tt := range []struct {
		environ []string
		args    []string
		want    string
	}{
		{environ, []string{"introspect"}, "mintkeep: there is no credential: set MINTKEEP_TOKEN, or pipe it to the standard input\n"},
		{environ, []string{"introspect", "mk_a"}, "mintkeep: unexpected argument mk_a"},
		{nil, []string{"introspect"}, "MINTKEEP_CLIENT_ID is required, or --id"},
		{nil, []string{"introspect"}, "MINTKEEP_CLIENT_SECRET is required, or MINTKEEP_CLIENT_SECRET_FILE"},
	} {
		if got := mintkeep(t, tt.environ, " \n", tt.args...); got.code != exitUsage || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%q: got %+v, want %q", tt.args, got, tt.want)
		}
	}
}

func TestIntrospectByPost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.FormValue("client_id") != "billing" || r.FormValue("client_secret") != "s" {
			t.Errorf("got %v with %q", r.Header, r.Form)
		}
		_, _ = io.WriteString(w, `{"active":true}`)
	}))
	t.Cleanup(server.Close)
	environ := []string{"MINTKEEP_URL=" + server.URL, "MINTKEEP_CLIENT_ID=billing", "MINTKEEP_CLIENT_SECRET=s", "MINTKEEP_TOKEN=x"}
	if got := mintkeep(t, environ, "", "introspect", "--post"); got.code != exitOK {
		t.Errorf("got %+v", got)
	}
}
