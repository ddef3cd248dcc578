package server_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A JWT is as long as its audience and its scope make it. What is issued is active, up to the longest; what the server
// could not read back is rejected. An opaque token is short whatever it is valid for.
func TestTokenLength(t *testing.T) {
	const limit = 8 << 10
	encoded := base64.RawURLEncoding.EncodedLen
	e := newTokenEndpoint(t, storetest.Embedded(t))
	uri := func(i, length int) string {
		start := fmt.Sprintf("https://%02d.example/", i)
		return start + strings.Repeat("a", length-len(start))
	}
	ask := func(c servertest.Client, resources []string) servertest.Response {
		return e.send(t, grantCC+"&"+url.Values{"resource": resources}.Encode(), c.Basic())
	}
	tokenOf := func(r servertest.Response) string { t.Helper(); return granted(t, r)["access_token"].(string) }
	holds := func(c servertest.Client, token string, audience int) {
		t.Helper()
		got := e.Introspect(t, c, token)
		if aud, _ := got["aud"].([]any); got["active"] != true || len(aud) != audience {
			t.Errorf("a token of %d bytes: got %.200v, want it active for %d resources", len(token), fmt.Sprint(got), audience)
		}
		e.Revoke(t, c, token).Want(t, http.StatusOK, "")
		if e.Active(t, c, token) {
			t.Errorf("a token of %d bytes is active after its revocation", len(token))
		}
	}
	var base []string
	for i := range 11 {
		base = append(base, uri(i, 490))
	}
	c := e.Register(t, servertest.M{"scope": "read", "audience": base})

	// One more URI adds itself, two quotes and a comma to the claims.
	token := tokenOf(ask(c, base))
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	rest := len(token) - encoded(len(claims))
	room := len(claims)
	for rest+encoded(room+1) <= limit {
		room++
	}
	fits := uri(20, room-len(claims)-len(`,""`))
	over := fits + "a"
	audience := append(base[:11:11], fits, over)
	e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"audience": audience}).Want(t, http.StatusOK, "")

	longest := tokenOf(ask(c, audience[:12]))
	if len(longest) != rest+encoded(room) || len(longest) < limit-1 {
		t.Fatalf("the longest token has %d bytes, want %d or one less: the test misses the border", len(longest), limit)
	}
	holds(c, longest, 12)
	for what, resources := range map[string][]string{"one byte more": append(base[:11:11], over), "all": audience} {
		r := ask(c, resources)
		refused(t, r, 400, "invalid_target")
		if !strings.Contains(r.Body, "8192 bytes") || !strings.Contains(r.Body, "fewer") {
			t.Errorf("%s: it is not said what to do: %s", what, r.Body)
		}
	}

	opaque := e.Register(t, servertest.M{"scope": "read", "audience": audience, "access_token_format": "opaque"})
	holds(opaque, tokenOf(ask(opaque, audience)), 13)
}
