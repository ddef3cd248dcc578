package main

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// commandsOf runs commands against a server, by its clock.
func commandsOf(t *testing.T, s *servertest.Server) func(args ...string) result {
	t.Helper()
	environ := []string{"MINTKEEP_URL=" + s.URL, "MINTKEEP_ADMIN_TOKEN=" + s.AdminToken}
	return func(args ...string) result {
		t.Helper()
		return mintkeepAt(t, s.Clock.Now, environ, "", args...)
	}
}

// TestClientWithKey is the life of a client with a key. No part of the private key, and no assertion, is in the log, in Redis,
// in the metrics, in the audit log or in an output that is not asked for it.
func TestClientWithKey(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	run := commandsOf(t, s)
	orders := s.Register(t, servertest.M{"client_id": "orders", "scope": "mintkeep:introspect"})
	path := filepath.Join(t.TempDir(), "billing.pem")

	created := run("client", "create", "--id=billing", "--scope=read", "--new-key", path)
	if created.code != exitOK || strings.Contains(created.stdout+created.stderr, "secret") || !strings.HasSuffix(created.stderr, "mintkeep token --id billing --key-file "+path+"\n") {
		t.Fatalf("got %+v", created)
	}
	private := text(t, path)
	for line := range strings.Lines(private) {
		s.Secret(strings.TrimSpace(line))
	}
	key, err := readClientKey(path, "")
	if err != nil {
		t.Fatal(err)
	}
	var members struct{ D string }
	if err := json.Unmarshal([]byte(jwkText(t, jose.JSONWebKey{Key: key.private})), &members); err != nil || members.D == "" {
		t.Fatal(err)
	}
	s.Secret(members.D)

	got := run("token", "--id=billing", "--key-file", path)
	if got.code != exitOK || got.stderr != "" || !strings.HasPrefix(got.stdout, "eyJ") {
		t.Fatalf("got %+v", got)
	}
	token := strings.TrimSpace(got.stdout)
	s.Secret(token)
	if !s.Active(t, orders, token) {
		t.Error("the token is not active")
	}

	assertion := run("token", "--id=billing", "--key-file", path, "--assertion-only")
	presented := strings.TrimSpace(assertion.stdout)
	s.Secret(presented)
	s.Secret(presented[strings.LastIndex(presented, ".")+1:]) // its signature
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion": {presented},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}.Encode()
	s.Post(t, "/oauth/token", form).Want(t, http.StatusOK, "")
	s.Post(t, "/oauth/token", form).Want(t, http.StatusUnauthorized, "invalid_client")

	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	shown := run("client", "show", "billing")
	if !regexp.MustCompile(`(?m)^` + key.id + ` +ES256 +20\S+Z +` + key.id + `$`).MatchString(shown.stdout) {
		t.Errorf("got %+v, want the key %s with its last use", shown, key.id)
	}
	metrics := httptest.NewRecorder()
	s.Metrics.Handler().ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	audited := run("audit", "--refusals")
	if !strings.Contains(audited.stdout, "replayed") {
		t.Errorf("the audit log has no reason of the rejection: %+v", audited)
	}
	block, _ := pem.Decode([]byte(private))
	for _, secret := range []string{members.D, presented, strings.Split(presented, ".")[2], string(block.Bytes), strings.Split(private, "\n")[1]} {
		if strings.Contains(created.stdout+created.stderr+shown.stdout+audited.stdout+run("audit").stdout+metrics.Body.String(), secret) {
			t.Errorf("a secret is in an output, in the audit log or in the metrics: …%s", secret[len(secret)-4:])
		}
	}
}

// TestKeyFormats: each form of a key that the command reads gets a token, for a client that is registered with the public keys.
func TestKeyFormats(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	run := commandsOf(t, s)
	keys := testKeys()
	public := keyInFile(t, publicPEM(t, keys.ec)+publicPEM(t, keys.ed)+publicPEM(t, keys.rsa))
	if got := run("client", "create", "--id=billing", "--scope=read", "--jwks-file", public); got.code != exitOK {
		t.Fatalf("got %+v", got)
	}
	for name, content := range map[string]string{
		"EC in PKCS 8":      pkcs8(t, keys.ec),
		"EC in SEC 1":       sec1(t, keys.ec),
		"EC as a JWK":       jwkText(t, jose.JSONWebKey{Key: keys.ec}),
		"Ed25519 in PKCS 8": pkcs8(t, keys.ed),
		"Ed25519 as a JWK":  jwkText(t, jose.JSONWebKey{Key: keys.ed, Algorithm: "EdDSA"}),
		"RSA in PKCS 8":     pkcs8(t, keys.rsa),
		"RSA as a JWK":      jwkText(t, jose.JSONWebKey{Key: keys.rsa}),
	} {
		path := keyInFile(t, content)
		if got := run("token", "--id=billing", "--key-file", path); got.code != exitOK || got.stderr != "" || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	rs256 := run("token", "--id=billing", "--key-file", keyInFile(t, pkcs8(t, keys.rsa)), "--signing-alg=RS256")
	if rs256.code != exitOK {
		t.Errorf("RS256: got %+v", rs256)
	}
	if got := run("token", "--id=other", "--key-file", keyInFile(t, pkcs8(t, keys.rsa))); got.code != exitFailed || got.stdout != "" {
		t.Errorf("another client: got %+v, want a rejection", got)
	}
}

// TestNewKeyRejectedByServer: with the real server, a client that is rejected leaves no key, and no client is without one.
func TestNewKeyRejectedByServer(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	run := commandsOf(t, s)
	path := filepath.Join(t.TempDir(), "key.pem")
	for _, args := range [][]string{{"--id=not possible"}, {"--id=billing", "--auth-method=nonsense"}, {"--id=billing", "--scope=mintkeep:nonsense"}} {
		got := run(append([]string{"client", "create", "--new-key", path}, args...)...)
		if _, err := os.Stat(path); !os.IsNotExist(err) || got.code != exitFailed || !strings.Contains(got.stderr, "(400 invalid_client_metadata)") {
			t.Errorf("%q: got %+v, and the file %v", args, got, err)
		}
	}
	if got := run("client", "create", "--id=billing", "--new-key", path); got.code != exitOK {
		t.Errorf("got %+v", got)
	}
	other := filepath.Join(t.TempDir(), "key.pem")
	if got := run("client", "create", "--id=billing", "--new-key", other); got.code != exitFailed || !strings.Contains(got.stderr, "taken") {
		t.Errorf("got %+v, want that the id is taken", got)
	}
	if _, err := os.Stat(other); !os.IsNotExist(err) {
		t.Errorf("the key of a rejected client is kept: %v", err)
	}
}

// TestClientMovesToAKey: a client with a secret gets a key beside it, and then may use the key alone.
func TestClientMovesToAKey(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	run := commandsOf(t, s)
	client := s.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
	keys := testKeys()
	public, private := keyInFile(t, publicPEM(t, keys.ec)), keyInFile(t, pkcs8(t, keys.ec))
	const note = "A key that was removed or replaced gets no new token. Tokens that the client already has stay valid. To revoke them: mintkeep client revoke-tokens billing\n"
	if got := run("client", "update", "billing", "--jwks-file", public); got.code != exitOK || got.stderr != note {
		t.Fatalf("got %+v", got)
	}
	s.Token(t, client)
	if got := run("token", "--id=billing", "--key-file", private); got.code != exitOK {
		t.Errorf("by the key beside the secret: got %+v", got)
	}
	if got := run("client", "update", "billing", "--auth-method=private_key_jwt", "--signing-alg=ES256"); got.code != exitOK || got.stderr != "" {
		t.Fatalf("got %+v", got)
	}
	s.Post(t, "/oauth/token", "grant_type=client_credentials", client.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
	if got := run("token", "--id=billing", "--key-file", private); got.code != exitOK {
		t.Errorf("by the key alone: got %+v", got)
	}
	if got := run("client", "update", "billing", "--clear=jwks-file"); got.code != exitFailed || !strings.Contains(got.stderr, "is needed by private_key_jwt") {
		t.Errorf("got %+v, want that the key is needed", got)
	}
	if got := run("client", "update", "billing", "--clear=jwks-file,auth-method,signing-alg"); got.code != exitOK ||
		!strings.HasPrefix(got.stderr, "Removed the key ") || !strings.HasSuffix(got.stderr, ".\n"+note) {
		t.Errorf("got %+v", got)
	}
	if got := run("token", "--id=billing", "--key-file", private); got.code != exitFailed || !strings.Contains(got.stderr, "(401 invalid_client)") {
		t.Errorf("by a key that was removed: got %+v", got)
	}
	s.Token(t, client)
	if got := run("client", "refresh-keys", "billing"); got.code != exitFailed || !strings.Contains(got.stderr, "The client has no jwks_uri") {
		t.Errorf("got %+v", got)
	}
	if got := run("client", "update", "billing", "--jwks-uri=https://billing.example.com/jwks.json", "--unchecked"); got.code != exitOK {
		t.Fatalf("got %+v", got)
	}
	if got := run("client", "refresh-keys", "billing"); got.code != exitOK {
		t.Errorf("got %+v", got)
	}
}

// TestRotateClientKey: a key is added beside the one in use, and that is removed later, without an outage. A replacement says
// what it replaces.
func TestRotateClientKey(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	run := commandsOf(t, s)
	keys := testKeys()
	old, next := keyInFile(t, pkcs8(t, keys.ec)), keyInFile(t, pkcs8(t, keys.ed))
	sum, err := jwks.Thumbprint(keys.ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	kid := func(k jose.JSONWebKey) string { return keyInFile(t, jwkText(t, k)) }
	if got := run("client", "create", "--id=billing", "--scope=read", "--jwks-file", kid(jose.JSONWebKey{Key: keys.ec.Public(), KeyID: "first"})); got.code != exitOK {
		t.Fatalf("got %+v", got)
	}
	works := func(path, id string, want int) {
		t.Helper()
		if got := run("token", "--id=billing", "--key-file", path); got.code != want {
			t.Errorf("%s: got %+v, want exit code %d", id, got, want)
		}
	}
	named := kid(jose.JSONWebKey{Key: keys.ec, KeyID: "first"})
	works(named, "the first key", exitOK)

	added := run("client", "update", "billing", "--add-key", keyInFile(t, publicPEM(t, keys.ed)))
	if added.code != exitOK || added.stderr != "" || !strings.Contains(added.stdout, "first") || !strings.Contains(added.stdout, "EdDSA") {
		t.Fatalf("got %+v", added)
	}
	works(named, "the first key", exitOK)
	works(next, "the added key", exitOK)
	if got := run("client", "update", "billing", "--add-key", keyInFile(t, publicPEM(t, keys.ec))); got.code != exitOK || got.stderr != "The key first is registered already.\n" {
		t.Errorf("a key that is registered: got %+v", got)
	}
	if got := run("client", "update", "billing", "--add-key", kid(jose.JSONWebKey{Key: keys.rsa.Public(), KeyID: "first"})); got.code != exitFailed || !strings.Contains(got.stderr, "kid is that of keys[0]") {
		t.Errorf("a kid that is taken: got %+v", got)
	}
	if got := run("client", "update", "billing", "--add-key", old); got.code != exitUsage || !strings.Contains(got.stderr, "--add-key: "+old+": must not have a private key") {
		t.Errorf("a private key: got %+v", got)
	}

	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	removed := run("client", "update", "billing", "--remove-key=first")
	if removed.code != exitOK || !regexp.MustCompile(`^Removed the key first, last used 20\S+Z\.\n.*revoke-tokens billing\n$`).MatchString(removed.stderr) {
		t.Errorf("got %+v", removed)
	}
	works(named, "the removed key", exitFailed)
	works(next, "the added key", exitOK)
	if got := run("client", "update", "billing", "--remove-key="+sum); got.code != exitFailed || !strings.Contains(got.stderr, "has no key") {
		t.Errorf("a key that is gone: got %+v", got)
	}

	replaced := run("client", "update", "billing", "--jwks-file", keyInFile(t, publicPEM(t, keys.rsa)))
	if replaced.code != exitOK || strings.Count(replaced.stderr, "Removed the key ") != 1 {
		t.Errorf("a replacement does not name the key: got %+v", replaced)
	}
	if got := run("client", "update", "billing", "--jwks-file=x", "--add-key=y"); got.code != exitUsage || !strings.Contains(got.stderr, "can't be used together with --jwks-file") {
		t.Errorf("got %+v", got)
	}
}

// TestRotateClientWithKey: a client that uses no secret gets none, and the error has the command after which it does.
func TestRotateClientWithKey(t *testing.T) {
	run := commandsOf(t, servertest.New(t, storetest.Embedded(t)))
	if got := run("client", "create", "--id=billing", "--scope=read", "--new-key", filepath.Join(t.TempDir(), "billing.pem")); got.code != exitOK {
		t.Fatalf("got %+v", got)
	}
	rejected := run("client", "rotate", "billing")
	_, command, found := strings.Cut(rejected.stderr, "that is: mintkeep ")
	if rejected.code != exitFailed || !found {
		t.Fatalf("got %+v", rejected)
	}
	words := strings.Fields(command)
	for _, args := range [][]string{words[:5], {"client", "rotate", "billing"}} {
		if got := run(args...); got.code != exitOK {
			t.Errorf("%q: got %+v", args, got)
		}
	}
}
