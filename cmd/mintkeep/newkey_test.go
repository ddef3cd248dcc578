package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// TestNewKey: the private half is kept before the client is registered, with the public half alone, and the output has the
// next command and no secret.
func TestNewKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "billing's key.pem")
	server := newAdmin(t, func(w http.ResponseWriter, r *http.Request) {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
			t.Errorf("when the client is registered, the file is %v, %v", info, err)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"client_id":"billing","token_endpoint_auth_method":"private_key_jwt"}`)
	})
	got := mintkeep(t, server.environ(), "", "client", "create", "--id=billing", "--scope=read", "--new-key", path)
	key, err := readClientKey(path, "")
	if err != nil {
		t.Fatal(err)
	}
	word := `'` + strings.ReplaceAll(path, `'`, `'\''`) + `'`
	want := result{
		stdout: "client id    billing\nauth method  private_key_jwt\nstate        enabled\n",
		stderr: "The private key is in " + path + " and nowhere else. Fetch a token with it:\n    mintkeep token --id billing --key-file " + word + "\n",
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(result{})); d != "" {
		t.Errorf("result (-want +got):\n%s", d)
	}
	body := strings.TrimPrefix(server.asked[0], "POST /admin/clients application/json ")
	public := jwkText(t, jose.JSONWebKey{Key: key.private.Public(), KeyID: key.id, Algorithm: "ES256", Use: "sig"})
	wantBody := fmt.Sprintf(`{"client_id":"billing","jwks":{"keys":[%s]},"scope":"read","token_endpoint_auth_method":"private_key_jwt"}`, public)
	if d := cmp.Diff(wantBody, body); d != "" {
		t.Errorf("body (-want +got):\n%s", d)
	}
	got = mintkeep(t, metadataOf(t, "https://auth.example.com"), "", "token", "--assertion-only", "--key-file", path)
	if got.code != exitOK {
		t.Errorf("the key cannot be used: %+v", got)
	}
}

// TestNewKeyWithoutClient: no key is left without a client, and where that is not known, the output says so.
func TestNewKeyWithoutClient(t *testing.T) {
	cut := func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = connection.Close()
	}
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		kept   bool
		want   string
	}{
		"rejected":                   {says(400, `{"error":"invalid_client_metadata","error_description":"jwks is not supported"}`), false, "jwks is not supported (400 invalid_client_metadata)\n"},
		"the id is taken":            {says(409, `{"error":"conflict","error_description":"Client id taken"}`), false, "Client id taken (409 conflict)\n"},
		"a wrong admin token":        {says(401, `{"error":"invalid_token"}`), false, "the server rejected the request (401 invalid_token)\n"},
		"a redirect":                 {says(302, ``), false, "(302 Found)\n"},
		"no answer of the store":     {says(503, `{"error":"temporarily_unavailable","error_description":"Try again"}`), true, "Try again (503 temporarily_unavailable)"},
		"a proxy gives up":           {says(504, ``), true, "(504 Gateway Timeout)"},
		"a proxy lost the request":   {says(408, ``), true, "(408 Request Timeout)"},
		"the connection is cut":      {cut, true, "cannot reach"},
		"the answer is not Mintkeep": {says(200, `<html>`), true, "the answer is not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.pem")
			kids := make(chan string, 1)
			server := newAdmin(t, func(w http.ResponseWriter, r *http.Request) {
				key, err := readClientKey(path, "")
				if err != nil {
					t.Error(err)
					key = &clientKey{}
				}
				kids <- key.id
				tt.answer(w, r)
			})
			got := mintkeep(t, server.environ(), "", "client", "create", "--new-key", path)
			if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("got %+v, want %q", got, tt.want)
			}
			said := strings.Contains(got.stderr, "it is unknown whether the client was registered, so the private key is kept in "+path+
				": look for a client with the key "+<-kids)
			if _, err := os.Stat(path); (err == nil) != tt.kept || said != tt.kept {
				t.Errorf("the file: %v; %q; want it kept: %v", err, got.stderr, tt.kept)
			}
		})
	}
}

// TestNewKeyUnreachable: what was never sent is certainly not registered.
func TestNewKeyUnreachable(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	path := filepath.Join(t.TempDir(), "key.pem")
	got := mintkeep(t, []string{"MINTKEEP_URL=" + closed.URL, "MINTKEEP_ADMIN_TOKEN=" + testToken}, "", "client", "create", "--new-key", path)
	if _, err := os.Stat(path); !os.IsNotExist(err) || got.code != exitFailed || !strings.Contains(got.stderr, "cannot reach") || strings.Contains(got.stderr, "unknown") {
		t.Errorf("got %+v; the file: %v", got, err)
	}
}

// TestNewKeyCannotBeKept: then nothing is asked of the server.
func TestNewKeyCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	existing, link := filepath.Join(dir, "existing"), filepath.Join(dir, "link")
	save(t, existing, "another key")
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		existing:                        "mintkeep: --new-key: " + existing + ": the file exists, and is not overwritten\n",
		link:                            "mintkeep: --new-key: " + link + ": the file exists, and is not overwritten\n",
		filepath.Join(existing, "key"):  "not a directory\n",
		filepath.Join(dir, "none/key"):  "no such file or directory\n",
		"/proc/key":                     "mintkeep: --new-key: /proc/key: ", // a folder in which not even root can write
		"":                              "--new-key needs the path of a new file\n",
		"-":                             "--new-key needs the path of a new file\n",
		dir + "/a --signing-alg=PS256":  "--new-key creates a key for ES256: use --jwks-file for another algorithm\n",
		dir + "/b --jwks-uri=https://a": "--new-key and --jwks-uri can't be used together",
		dir + "/c --jwks-file=k":        "--new-key and --jwks-file can't be used together",
		dir + "/d --auth-method=client_secret_basic": "--new-key creates a key for private_key_jwt, and --auth-method names a method with a secret\n",
	} {
		server := newAdmin(t, says(http.StatusCreated, `{"client_id":"billing"}`))
		path, more, _ := strings.Cut(path, " ")
		got := mintkeep(t, server.environ(), "", append([]string{"client", "create", "--new-key=" + path}, strings.Fields(more)...)...)
		if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%q: got %+v, want %q", path, got, want)
		}
		if len(server.asked) > 0 {
			t.Errorf("%q: got %q, want no request", path, server.asked)
		}
	}
	if got := text(t, existing); got != "another key" {
		t.Errorf("the file that existed has %q now", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("got %v, want nothing new", entries)
	}
}

// TestJWKSFile: public keys are registered as a set, from each form of a file, and a private key is not even sent.
func TestJWKSFile(t *testing.T) {
	keys := testKeys()
	public := func(use string) string { return jwkText(t, jose.JSONWebKey{Key: keys.ec.Public(), Use: use}) }
	set := `{"keys":[` + public("") + `]}`
	for name, tt := range map[string]struct {
		file string
		want string // the set, or the error
		code int
	}{
		"a set":                     {set, set, exitOK},
		"an empty set":              {`{"keys":[]}`, `{"keys":[]}`, exitOK}, // for the server to reject
		"a key":                     {public(""), set, exitOK},
		"PEM":                       {publicPEM(t, keys.ec), `{"keys":[` + public("sig") + `]}`, exitOK},
		"a private key in a set":    {`{"keys":[` + public("") + `,` + jwkText(t, jose.JSONWebKey{Key: keys.ed}) + `]}`, "keys[1]: d belongs to a private or symmetric key; send the public key alone", exitUsage},
		"a private key as a JWK":    {jwkText(t, jose.JSONWebKey{Key: keys.rsa}), "keys[0]: d belongs to", exitUsage},
		"a private key with a set":  {`{"kty":"EC","d":"canary","keys":[` + public("") + `]}`, "d belongs to a private or symmetric key", exitUsage},
		"a symmetric key":           {`{"kty":"oct","k":"Y2FuYXJ5"}`, "keys[0]: k belongs to", exitUsage},
		"a private key in PEM":      {publicPEM(t, keys.ec) + pkcs8(t, keys.ed), ": must not have a private key; openssl pkey -in key.pem -pubout prints the public one", exitUsage},
		"a list":                    {`[` + public("") + `]`, ": must be public keys in PEM, a JWK or a JWK set", exitUsage},
		"JSON of another kind":      {`{"keys":"canary"}`, ": must be public keys in PEM, a JWK or a JWK set", exitUsage},
		"a certificate":             {pemOf("CERTIFICATE", []byte("canary")), ": must not have a certificate; openssl x509", exitUsage},
		"a public key that is none": {pemOf("PUBLIC KEY", []byte("canary")), ": has a public key in PEM that cannot be read", exitUsage},
		"nothing":                   {"", ": must be public keys in PEM, a JWK or a JWK set", exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			path := keyInFile(t, tt.file)
			for _, args := range [][]string{{"create", "--jwks-file", path}, {"update", "billing", "--jwks-file", path}, {"update", "billing", "--jwks-file=-"}} {
				server := newAdmin(t, says(http.StatusOK, `{"client_id":"billing"}`))
				got := mintkeep(t, server.environ(), tt.file, append([]string{"client"}, args...)...)
				if got.code != tt.code {
					t.Fatalf("%q: got %+v", args, got)
				}
				if tt.code != exitOK {
					if !strings.Contains(got.stderr, tt.want) || strings.Contains(got.stderr, "canary") || len(server.asked) > 0 {
						t.Errorf("%q: got %+v and the requests %q, want %q", args, got, server.asked, tt.want)
					}
					continue
				}
				want := []string{`POST /admin/clients application/json {"jwks":` + tt.want + `}`}
				if args[0] == "update" { // which names the keys that it replaces
					want = []string{
						"GET /admin/clients/billing",
						`PATCH /admin/clients/billing application/merge-patch+json {"jwks":` + tt.want + `,"jwks_uri":null}`,
					}
				}
				if d := cmp.Diff(want, server.asked); d != "" {
					t.Errorf("%q: requests (-want +got):\n%s", args, d)
				}
			}
		})
	}
}

// TestClientKeysOutput: the keys of a client, and that a change of them revokes no token.
func TestClientKeysOutput(t *testing.T) {
	const shown = `{"client_id":"billing","token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"ES256",` +
		`"jwks_uri":"https://billing.example.com/jwks.json","secrets":[],"keys":[` +
		`{"kid":"2026-01","thumbprint":"tp1","alg":"ES256","last_used_at":"2026-01-02T03:04:05Z"},{"kid":"tp2","thumbprint":"tp2","last_used_at":null}]}`
	const facts = `client id    billing
auth method  private_key_jwt
signing alg  ES256
jwks uri     https://billing.example.com/jwks.json
state        enabled

KEY ID   ALG    LAST USED             THUMBPRINT
2026-01  ES256  2026-01-02T03:04:05Z  tp1
tp2      -      -                     tp2
`
	const note = "A key that was removed or replaced gets no new token. Tokens that the client already has stay valid. To revoke them: mintkeep client revoke-tokens billing\n"
	for args, want := range map[string]result{
		"show billing":                                {stdout: facts},
		"create --jwks-uri=https://a.example":         {stdout: facts},
		"update billing --jwks-uri=https://a.example": {stdout: facts, stderr: note},
		"update billing --clear=jwks-file":            {stdout: facts, stderr: note},
		"update billing --name=B":                     {stdout: facts},
		"refresh-keys billing":                        {stdout: "Every replica fetches the keys of client billing again, within 30 seconds\n"},
		"refresh-keys billing --json":                 {},
	} {
		server := newAdmin(t, says(http.StatusOK, shown))
		got := mintkeep(t, server.environ(), "", append([]string{"client"}, strings.Fields(args)...)...)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(result{})); d != "" {
			t.Errorf("%s: result (-want +got):\n%s", args, d)
		}
	}
}
