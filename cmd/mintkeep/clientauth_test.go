package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/jwks"
)

// assertions is a token endpoint that notes each assertion, and answers with these statuses in turn, then with a token.
type assertions struct {
	*httptest.Server

	statuses []int
	header   http.Header // of the answers that are no token

	presented []string
	metadata  int // how often they were asked for
}

func newAssertions(t *testing.T, statuses ...int) *assertions {
	t.Helper()
	a := &assertions{statuses: statuses, header: http.Header{"Retry-After": {"0"}}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/oauth-authorization-server" {
			a.metadata++
			_, _ = io.WriteString(w, `{"issuer":"https://auth.example.com"}`)
			return
		}
		a.presented = append(a.presented, r.FormValue("client_assertion"))
		form := r.PostForm
		if r.Header.Get("Authorization") != "" || form.Get("client_secret") != "" || form.Get("grant_type") != "client_credentials" ||
			form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			t.Errorf("got %v with %v", r.Header, form)
		}
		if n := len(a.presented); n <= len(a.statuses) {
			for name, values := range a.header {
				w.Header()[name] = values
			}
			w.WriteHeader(a.statuses[n-1])
			_, _ = io.WriteString(w, `{"error":"x","error_description":"Try again"}`)
			return
		}
		_, _ = io.WriteString(w, issued("mkt_abc"))
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *assertions) environ() []string {
	return []string{"MINTKEEP_URL=" + a.URL, "MINTKEEP_CLIENT_ID=billing"}
}

// TestTokenRetries: after a 503 the assertion is another one, and the metadata is not asked for again.
func TestTokenRetries(t *testing.T) {
	path := keyInFile(t, pkcs8(t, testKeys().ec))
	for name, tt := range map[string]struct {
		statuses []int
		header   http.Header
		requests int
		want     result
	}{
		"at once":                        {nil, nil, 1, result{stdout: "mkt_abc\n"}},
		"after two 503":                  {[]int{503, 503}, nil, 3, result{stdout: "mkt_abc\n"}},
		"never":                          {[]int{503, 503, 503, 503}, nil, 3, result{code: exitFailed, stderr: "mintkeep: Try again (503 x)\n"}},
		"not after a 503 without a time": {[]int{503}, http.Header{}, 1, result{code: exitFailed, stderr: "mintkeep: Try again (503 x)\n"}},
		"not after a 401":                {[]int{401}, nil, 1, result{code: exitFailed, stderr: "mintkeep: Try again (401 x)\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := newAssertions(t, tt.statuses...)
			if tt.header != nil {
				server.header = tt.header
			}
			got := mintkeep(t, server.environ(), "", "token", "--key-file", path)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
			if len(server.presented) != tt.requests || server.metadata != 1 {
				t.Errorf("got %d requests and %d for the metadata, want %d and 1", len(server.presented), server.metadata, tt.requests)
			}
			known := map[string]bool{}
			for _, assertion := range server.presented {
				if known[assertion] {
					t.Error("an assertion was sent twice")
				}
				known[assertion] = true
			}
		})
	}
}

// TestTokenClock: the server does not say why it rejects an assertion. A wrong clock is a cause that this side can see.
func TestTokenClock(t *testing.T) {
	path := keyInFile(t, pkcs8(t, testKeys().ec))
	for ahead, want := range map[time.Duration]string{
		0:                 "Try again (401 x)\n",
		95 * time.Second:  "Try again (401 x); the clock of this machine is 1m35s ahead of the server's\n",
		-95 * time.Second: "Try again (401 x); the clock of this machine is 1m35s behind the server's\n",
	} {
		server := newAssertions(t, 401)
		now := time.Now().Truncate(time.Second)
		server.header = http.Header{"Date": {now.UTC().Format(http.TimeFormat)}}
		clock := func() time.Time { return now.Add(ahead) }
		got := mintkeepAt(t, clock, server.environ(), "", "token", "--key-file", path)
		if got.code != exitFailed || got.stderr != "mintkeep: "+want {
			t.Errorf("%v ahead: got %+v, want %q", ahead, got, want)
		}
	}
}

// TestTokenIdentity: a flag wins, two in the environment are an error that names both, and -v says which was used.
func TestTokenIdentity(t *testing.T) {
	path, other := keyInFile(t, pkcs8(t, testKeys().ec)), keyInFile(t, pkcs8(t, testKeys().ed))
	secretFile := keyInFile(t, "s")
	kid, _ := jwks.Thumbprint(testKeys().ec.Public())
	byKey := "mintkeep: authenticates as client billing by the key of %s: " + path + ", ES256, kid " + kid + "\n"
	for name, tt := range map[string]struct {
		environ []string
		args    []string
		want    result
	}{
		"a flag":                   {nil, []string{"--key-file", path}, result{stderr: fmt.Sprintf(byKey, "--key-file")}},
		"a variable":               {[]string{keyFile + "=" + path}, nil, result{stderr: fmt.Sprintf(byKey, keyFile)}},
		"a flag and another key":   {[]string{keyFile + "=" + other}, []string{"--key-file", path}, result{stderr: fmt.Sprintf(byKey, "--key-file")}},
		"a flag and a secret":      {[]string{"MINTKEEP_CLIENT_SECRET=s"}, []string{"--key-file", path}, result{stderr: fmt.Sprintf(byKey, "--key-file")}},
		"a secret":                 {[]string{"MINTKEEP_CLIENT_SECRET=s"}, nil, result{stderr: "mintkeep: authenticates as client billing by the secret of MINTKEEP_CLIENT_SECRET\n"}},
		"a secret in a file":       {[]string{"MINTKEEP_CLIENT_SECRET_FILE=" + secretFile}, nil, result{stderr: "mintkeep: authenticates as client billing by the secret of MINTKEEP_CLIENT_SECRET_FILE\n"}},
		"another client by a flag": {[]string{"MINTKEEP_CLIENT_SECRET=s"}, []string{"--id=orders"}, result{stderr: "mintkeep: authenticates as client orders by the secret of MINTKEEP_CLIENT_SECRET\n"}},
		"two variables": {[]string{keyFile + "=" + path, "MINTKEEP_CLIENT_SECRET=s"}, nil, result{code: exitUsage, stderr: "mintkeep: the configuration has an error:\n" +
			"  MINTKEEP_CLIENT_KEY_FILE and MINTKEEP_CLIENT_SECRET are both set: unset one, or choose the key with --key-file\n"}},
		"two variables, both of files": {[]string{keyFile + "=" + path, "MINTKEEP_CLIENT_SECRET_FILE=" + secretFile}, nil, result{code: exitUsage, stderr: "mintkeep: the configuration has an error:\n" +
			"  MINTKEEP_CLIENT_KEY_FILE and MINTKEEP_CLIENT_SECRET_FILE are both set: unset one, or choose the key with --key-file\n"}},
		"none": {nil, nil, result{code: exitUsage, stderr: "mintkeep: the configuration has an error:\n" +
			"  MINTKEEP_CLIENT_SECRET is required, or MINTKEEP_CLIENT_SECRET_FILE, or MINTKEEP_CLIENT_KEY_FILE, or --key-file; example: MINTKEEP_CLIENT_SECRET=\"$(cat client-secret)\"\n"}},
		"an algorithm for a secret": {[]string{"MINTKEEP_CLIENT_SECRET=s"}, []string{"--signing-alg=ES256"}, result{code: exitUsage, stderr: "mintkeep: the configuration has an error:\n" +
			"  --signing-alg is for a client with a key: give --key-file\n"}},
		"an assertion by a secret": {[]string{"MINTKEEP_CLIENT_SECRET=s"}, []string{"--assertion-only"}, result{code: exitUsage, stderr: "mintkeep: --assertion-only is for a client with a key: give --key-file\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/.well-known/") {
					_, _ = io.WriteString(w, `{"issuer":"https://auth.example.com"}`)
					return
				}
				_, _ = io.WriteString(w, issued("mkt_abc"))
			}))
			t.Cleanup(server.Close)
			if tt.want.code == exitOK {
				tt.want.stdout = "mkt_abc\n"
			}
			environ := append([]string{"MINTKEEP_URL=" + server.URL, "MINTKEEP_CLIENT_ID=billing"}, tt.environ...)
			got := mintkeep(t, environ, "", append([]string{"token", "-v"}, tt.args...)...)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
		})
	}
}

// TestTokenWithoutIssuer: no assertion goes to a server that does not say who it is.
func TestTokenWithoutIssuer(t *testing.T) {
	path := keyInFile(t, pkcs8(t, testKeys().ec))
	for answer, want := range map[string]string{
		`{}`:                   "the metadata has no issuer: is MINTKEEP_URL the address of Mintkeep?",
		`{"issuer":7}`:         "the metadata has no issuer: is MINTKEEP_URL the address of Mintkeep?",
		`{"issuer":"billing"}`: "the metadata has no issuer: is MINTKEEP_URL the address of Mintkeep?",
		`<html>`:               "the answer is not JSON: is MINTKEEP_URL the address of Mintkeep?",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				t.Errorf("got %s %s", r.Method, r.URL)
			}
			_, _ = io.WriteString(w, answer)
		}))
		t.Cleanup(server.Close)
		got := mintkeep(t, []string{"MINTKEEP_URL=" + server.URL}, "", "token", "--id=billing", "--key-file", path)
		if want := (result{code: exitFailed, stderr: "mintkeep: " + want + "\n"}); got != want {
			t.Errorf("%s: got %+v, want %+v", answer, got, want)
		}
	}
}

// TestIntrospectByKey: introspection takes the same credentials, and a new assertion each time.
func TestIntrospectByKey(t *testing.T) {
	var presented []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			_, _ = io.WriteString(w, `{"issuer":"https://auth.example.com"}`)
			return
		}
		presented = append(presented, r.FormValue("client_assertion"))
		_, _ = io.WriteString(w, `{"active":true}`)
	}))
	t.Cleanup(server.Close)
	key := testKeys().ec
	environ := []string{"MINTKEEP_URL=" + server.URL, keyFile + "=" + keyInFile(t, pkcs8(t, key)), "MINTKEEP_TOKEN=x"}
	began := time.Now().Truncate(time.Second)
	for range 2 {
		if got := mintkeep(t, environ, "", "introspect", "--id=billing"); got.code != exitOK {
			t.Fatalf("got %+v", got)
		}
	}
	kid, _ := jwks.Thumbprint(key.Public())
	for _, assertion := range presented {
		checkAssertion(t, assertion, key.Public(), "ES256", kid, began)
	}
	if len(presented) != 2 || presented[0] == presented[1] {
		t.Errorf("got %q, want two assertions", presented)
	}
}
