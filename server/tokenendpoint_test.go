package server_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// tokenEndpoint is a server as the tests of /oauth/token see it.
type tokenEndpoint struct{ *servertest.Server }

func newTokenEndpoint(t testing.TB, b *storetest.Backend, environ ...string) tokenEndpoint {
	t.Helper()
	return tokenEndpoint{servertest.New(t, b, environ...)}
}

// basic registers a client that authenticates by client_secret_basic.
func (e tokenEndpoint) basic(t testing.TB) servertest.Client {
	t.Helper()
	return e.Register(t, servertest.M{"scope": "read write"})
}

// post registers one that authenticates by client_secret_post.
func (e tokenEndpoint) post(t testing.TB) servertest.Client {
	t.Helper()
	return e.Register(t, servertest.M{"scope": "read", "token_endpoint_auth_method": "client_secret_post"})
}

// introspector registers a resource server that may introspect.
func (e tokenEndpoint) introspector(t testing.TB) servertest.Client {
	t.Helper()
	return e.Register(t, servertest.M{"scope": "mintkeep:introspect", "grant_types": []string{}})
}

const grantCC = "grant_type=client_credentials"

// send posts a form to the token endpoint, as it stands on the wire.
func (e tokenEndpoint) send(t testing.TB, form string, edits ...servertest.Edit) servertest.Response {
	t.Helper()
	answer := e.Post(t, "/oauth/token", form, edits...)
	var body struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal([]byte(answer.Body), &body) == nil && body.Token != "" {
		e.Secret(body.Token)
	}
	return answer
}

// granted holds an answer to RFC 6749 §5.1 and returns it.
func granted(t testing.TB, r servertest.Response) servertest.M {
	t.Helper()
	body := r.Want(t, http.StatusOK, "").JSON(t)
	want := []string{"access_token", "expires_in", "scope", "token_type"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(body))); diff != "" {
		t.Errorf("members of the token response (-want +got):\n%s", diff)
	}
	jsonNotStored(t, r)
	return body
}

// refused holds an answer to RFC 6749 §5.2: the status, the code, and the one shape of every error.
func refused(t testing.TB, r servertest.Response, status int, code string) {
	t.Helper()
	body := r.Want(t, status, code).JSON(t)
	if diff := cmp.Diff([]string{"error", "error_description"}, slices.Sorted(maps.Keys(body))); diff != "" {
		t.Errorf("members of the error (-want +got):\n%s", diff)
	}
	description, ok := body["error_description"].(string)
	if !ok || description == "" || !errorCharset.MatchString(description) || !errorCharset.MatchString(r.Error()) {
		t.Errorf("the error is not in the characters of RFC 6749 §5.2: %s", r.Body)
	}
	jsonNotStored(t, r)
	want := ""
	if status == http.StatusUnauthorized {
		want = `Basic realm="mintkeep"`
	}
	if got := r.Header.Get("WWW-Authenticate"); got != want {
		t.Errorf("WWW-Authenticate: got %q, want %q", got, want)
	}
}

// errorCharset is %x20-21 / %x23-5B / %x5D-7E (RFC 6749 §5.2).
var errorCharset = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`)

func jsonNotStored(t testing.TB, r servertest.Response) {
	t.Helper()
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		t.Errorf("Content-Type: got %q, want application/json", r.Header.Get("Content-Type"))
	}
	if cc := r.Header.Get("Cache-Control"); !slices.Contains(strings.Split(cc, ", "), "no-store") {
		t.Errorf("Cache-Control: got %q, want no-store", cc)
	}
	if got := r.Header.Get("Pragma"); got != "no-cache" {
		t.Errorf("Pragma: got %q, want no-cache", got)
	}
}

// jwtParts decodes a JWT's header and claims, unverified.
func jwtParts(t testing.TB, token string) (header, claims servertest.M) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a JWT of %d parts", len(parts))
	}
	for i, v := range []*servertest.M{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, v); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

var commandCount = regexp.MustCompile(`(?m)^mintkeep_redis_command_duration_seconds_count\{.*?command="([^"]+)".*?\} (\d+)$`)

// trips runs f and returns how many round trips of each kind to the store it cost.
func (e tokenEndpoint) trips(t testing.TB, f func()) map[string]int {
	t.Helper()
	before := e.tripsSoFar(t)
	f()
	cost := e.tripsSoFar(t)
	for name, n := range before {
		if cost[name] -= n; cost[name] == 0 {
			delete(cost, name)
		}
	}
	return cost
}

func (e tokenEndpoint) tripsSoFar(t testing.TB) map[string]int {
	t.Helper()
	w := httptest.NewRecorder()
	e.Metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	counts := map[string]int{}
	for _, line := range commandCount.FindAllStringSubmatch(w.Body.String(), -1) {
		n, err := strconv.Atoi(line[2])
		if err != nil {
			t.Fatal(err)
		}
		counts[line[1]] = n
	}
	delete(counts, "dial")
	if len(counts) == 0 {
		t.Fatalf("no commands were counted:\n%.500s", w.Body)
	}
	return counts
}

// total is the number of all round trips.
func total(trips map[string]int) (n int) {
	for _, count := range trips {
		n += count
	}
	return n
}
