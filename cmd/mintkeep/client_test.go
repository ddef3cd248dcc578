package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const testToken = "5c0b8f2d9e17a64830cb5f9d2e71a648"

// admin is the admin route with one answer, which notes what it was asked.
type admin struct {
	*httptest.Server
	asked []string // method, path, content type and body of each call
}

func newAdmin(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *admin {
	t.Helper()
	a := &admin{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer "+testToken {
			t.Errorf("got Authorization %q", got)
		}
		body, _ := io.ReadAll(r.Body)
		line := strings.Join([]string{r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), string(body)}, " ")
		a.asked = append(a.asked, strings.TrimSpace(line))
		answer(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *admin) environ() []string {
	return []string{"MINTKEEP_URL=" + a.URL, "MINTKEEP_ADMIN_TOKEN=" + testToken}
}

func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const billing = `{"client_id":"billing","client_name":"Billing","scope":"read write","grant_types":["client_credentials"],` +
	`"access_token_ttl":900,"access_token_format":"jwt","audience":["https://api.example.com"],"disabled":false,` +
	`"created_at":"2026-01-02T03:04:05Z","client_id_issued_at":1767323045,` +
	`"secrets":[{"id":"s1","created_at":"2026-01-02T03:04:05Z","last_used_at":null,"expires_at":null,"last_four":"x9Zq"}]}`

// What each command asks of the server.
func TestClientRequests(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("imported-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args  string
		stdin string
		first string // asked before
		want  string
	}{
		{args: "create", want: `POST /admin/clients application/json {}`},
		{
			args: "create --id=billing --name=Billing --scope=read --token-ttl=15m --token-format=opaque --auth-method=client_secret_post",
			want: `POST /admin/clients application/json {"access_token_format":"opaque","access_token_ttl":900,"client_id":"billing","client_name":"Billing","scope":"read","token_endpoint_auth_method":"client_secret_post"}`,
		},
		{
			args: "create --rate-limit=600/m",
			want: `POST /admin/clients application/json {"rate_limit":"600/m"}`,
		},
		{
			args: "create --jwks-uri=https://billing.example.com/jwks.json --auth-method=private_key_jwt --signing-alg=PS256",
			want: `POST /admin/clients application/json {"jwks_uri":"https://billing.example.com/jwks.json","token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"PS256"}`,
		},
		{args: "create --jwks-uri=https://a.example --unchecked", want: `POST /admin/clients?check=false application/json {"jwks_uri":"https://a.example"}`},
		{args: "update billing --jwks-uri=https://a.example --unchecked", first: `GET /admin/clients/billing`, want: `PATCH /admin/clients/billing?check=false application/merge-patch+json {"jwks":null,"jwks_uri":"https://a.example"}`},
		{args: "update billing --jwks-uri=https://a.example", first: `GET /admin/clients/billing`, want: `PATCH /admin/clients/billing application/merge-patch+json {"jwks":null,"jwks_uri":"https://a.example"}`},
		{args: "update billing --clear=jwks-file,jwks-uri,signing-alg", first: `GET /admin/clients/billing`, want: `PATCH /admin/clients/billing application/merge-patch+json {"jwks":null,"jwks_uri":null,"token_endpoint_auth_signing_alg":null}`},
		{args: "refresh-keys billing", want: `POST /admin/clients/billing/refresh-keys`},
		{args: "update billing --clear=rate-limit", want: `PATCH /admin/clients/billing application/merge-patch+json {"rate_limit":null}`},
		{
			args: "create --audience=https://a.example/x,y --audience=urn:b --grant-types=none",
			want: `POST /admin/clients application/json {"audience":["https://a.example/x,y","urn:b"],"grant_types":[]}`,
		},
		{args: "create --secret-file=" + secret, want: `POST /admin/clients application/json {"client_secret":"imported-secret"}`},
		{args: "create --secret-file=-", stdin: "piped-secret\n", want: `POST /admin/clients application/json {"client_secret":"piped-secret"}`},
		{args: "show billing", want: `GET /admin/clients/billing`},
		{args: "show a/b?c", want: `GET /admin/clients/a%2Fb%3Fc`},
		{args: "update billing --scope=", want: `PATCH /admin/clients/billing application/merge-patch+json {"scope":""}`},
		{args: "update billing --name=B --clear=token-ttl,audience", want: `PATCH /admin/clients/billing application/merge-patch+json {"access_token_ttl":null,"audience":null,"client_name":"B"}`},
		{args: "disable billing", want: `PATCH /admin/clients/billing application/merge-patch+json {"disabled":true}`},
		{args: "enable billing", want: `PATCH /admin/clients/billing application/merge-patch+json {"disabled":false}`},
		{args: "rotate billing", want: `POST /admin/clients/billing/secrets application/json {}`},
		{args: "rotate billing --overlap=0s", want: `POST /admin/clients/billing/secrets application/json {"overlap":"0s"}`},
		{args: "secrets billing", want: `GET /admin/clients/billing/secrets`},
		{args: "revoke-secret billing s1", first: `GET /admin/clients/billing/secrets`, want: `DELETE /admin/clients/billing/secrets/s1`},
		{args: "end-secret billing s1", first: `GET /admin/clients/billing/secrets`, want: `DELETE /admin/clients/billing/secrets/s1`}, // its name in version 0.1.0
		{args: "revoke-tokens billing", want: `POST /admin/clients/billing/revoke-tokens`},
		{args: "delete billing", want: `DELETE /admin/clients/billing`},
		{args: "list", want: `GET /admin/clients`},
		{args: "list -q bill --limit=10 --cursor=c1", want: `GET /admin/clients?cursor=c1&limit=10&q=bill`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			server := newAdmin(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete || strings.HasSuffix(r.URL.Path, "revoke-tokens") {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				_, _ = io.WriteString(w, billing)
			})
			got := mintkeep(t, server.environ(), tt.stdin, append([]string{"client"}, strings.Fields(tt.args)...)...)
			if got.code != exitOK {
				t.Errorf("got %+v", got)
			}
			want := []string{tt.want}
			if tt.first != "" {
				want = []string{tt.first, tt.want}
			}
			if d := cmp.Diff(want, server.asked); d != "" {
				t.Errorf("requests (-want +got):\n%s", d)
			}
		})
	}
}

func TestClientOutput(t *testing.T) {
	created := `{"client_id":"billing","client_secret":"mks_once","client_secret_expires_at":0}`
	list := `{"items":[` + billing + `,{"client_id":"e","client_name":"\u001b[2J","disabled":true}],"next_cursor":"c2"}`
	tests := []struct {
		args   string
		answer string
		want   result
	}{
		{args: "create", answer: created, want: result{
			stdout: "client id      billing\nclient secret  mks_once\nstate          enabled\n",
			stderr: "Store the secret now: it is not shown again.\n",
		}},
		{args: "create --json", answer: created, want: result{
			stdout: "{\n  \"client_id\": \"billing\",\n  \"client_secret\": \"mks_once\",\n  \"client_secret_expires_at\": 0\n}\n",
		}},
		{args: "show billing", answer: billing, want: result{stdout: `client id     billing
name          Billing
scope         read write
grant types   client_credentials
token ttl     15m0s
token format  jwt
audience      https://api.example.com
created       2026-01-02T03:04:05Z
state         enabled

SECRET ID  LAST 4  CREATED               LAST USED  EXPIRES
s1         x9Zq    2026-01-02T03:04:05Z  -          -
`}},
		{args: "list", answer: list, want: result{
			stdout: `CLIENT ID  NAME     SCOPE       STATE     CREATED
billing    Billing  read write  enabled   2026-01-02T03:04:05Z
e          \x1b[2J  -           disabled  -
`,
			stderr: "There are more: use --all, or --cursor=c2\n",
		}},
		{args: "secrets billing", answer: `{"items":[{"id":"s2","expires_at":"2026-02-01T00:00:00Z"}]}`, want: result{
			stdout: "SECRET ID  LAST 4  CREATED  LAST USED  EXPIRES\ns2         -       -        -          2026-02-01T00:00:00Z\n",
		}},
		{args: "show billing", answer: "<html>", want: result{
			code: exitFailed, stderr: "mintkeep: the answer is not JSON: is MINTKEEP_URL the address of Mintkeep?\n",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			server := newAdmin(t, says(http.StatusOK, tt.answer))
			got := mintkeep(t, server.environ(), "", append([]string{"client"}, strings.Fields(tt.args)...)...)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
		})
	}
}

func TestClientDelete(t *testing.T) {
	server := newAdmin(t, says(http.StatusNoContent, ""))
	got := mintkeep(t, server.environ(), "", "client", "delete", "billing")
	want := result{stdout: "Deleted client billing and revoked its tokens\n"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := mintkeep(t, server.environ(), "", "client", "delete", "billing", "--json"); got != (result{}) {
		t.Errorf("with --json: got %+v, want nothing", got)
	}
}

func TestClientErrors(t *testing.T) {
	tests := []struct {
		status int
		answer string
		want   string
	}{
		{404, `{"error":"not_found","error_description":"No such client"}`, "No such client (404 not_found)"},
		{409, `{"error":"conflict"}`, "the server rejected the request (409 conflict)"},
		{502, `<h1>Bad gateway</h1>`, "the server rejected the request (502 Bad Gateway)"},
		{302, ``, "the server rejected the request (302 Found)"},
		{400, `{"error":"bad","error_description":"\u001b]0;x"}`, `\x1b]0;x (400 bad)`},
	}
	for _, tt := range tests {
		server := newAdmin(t, says(tt.status, tt.answer))
		got := mintkeep(t, server.environ(), "", "client", "show", "billing")
		if want := (result{code: exitFailed, stderr: "mintkeep: " + tt.want + "\n"}); got != want {
			t.Errorf("%d: got %+v, want %+v", tt.status, got, want)
		}
	}
}

func TestClientListFollowsCursors(t *testing.T) {
	pages := func(w http.ResponseWriter, r *http.Request) {
		cursor := r.URL.Query().Get("cursor")
		next := map[string]string{"": "c1", "c1": "c2", "c2": ""}[cursor]
		fmt.Fprintf(w, `{"items":[{"client_id":"after%s"}],"next_cursor":%q}`, cursor, next)
	}
	server := newAdmin(t, pages)
	got := mintkeep(t, server.environ(), "", "client", "list", "--all", "--limit=1", "--json")
	var list page
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || got.code != exitOK {
		t.Fatalf("got %+v, %v", got, err)
	}
	if len(list.Items) != 3 || list.NextCursor != "" {
		t.Errorf("got %d clients and cursor %q, want 3 and none", len(list.Items), list.NextCursor)
	}
	want := []string{"GET /admin/clients?limit=1", "GET /admin/clients?cursor=c1&limit=1", "GET /admin/clients?cursor=c2&limit=1"}
	if d := cmp.Diff(want, server.asked); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

func TestClientListInCircles(t *testing.T) {
	server := newAdmin(t, says(http.StatusOK, `{"items":[],"next_cursor":"c1"}`))
	got := mintkeep(t, server.environ(), "", "client", "list", "--all")
	if got.code != exitFailed || len(server.asked) != 2 {
		t.Errorf("got %+v after %d calls", got, len(server.asked))
	}
}
