package dashboard_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// forms are all that a signed-in user can send: the path, and a form that would change something.
func forms(key, session string) map[string]url.Values {
	return map[string]url.Values{
		"/logout":                       {},
		"/settings/keys":                {"name": {"sneaked"}, "scope": {"read"}, "expiry": {"30"}, "once": {"1"}},
		key + "/edit":                   {"name": {"renamed"}, "scope": {"read"}},
		key + "/disable":                {},
		key + "/enable":                 {},
		"/settings/keys/revoke":         {"id": {key[strings.LastIndex(key, "/")+1:]}, "confirm": {"revoke"}},
		"/settings/keys/revoke-all":     {"confirm": {"revoke all"}},
		key + "/rotate":                 {"overlap": {"0s"}, "once": {"2"}},
		key + "/revoke":                 {"reason": {"sneaked"}, "confirm": {"one"}},
		"/settings/profile":             {"name": {"Mallory"}},
		"/settings/password":            {"present": {secret}, "password": {secret + "!"}, "again": {secret + "!"}},
		"/settings/sessions/end":        {"session": {session}},
		"/settings/sessions/revoke-all": {},
		"/operator/clients":             {"client_id": {"sneaked"}, "grant": {"yes"}, "once": {"3"}},
		"/operator/clients/c":           {"scope": {"read write"}},
		"/operator/clients/c/secrets":   {"overlap": {"24h"}, "once": {"4"}},
		"/operator/clients/c/disable":   {}, "/operator/clients/c/enable": {}, "/operator/clients/c/revoke-tokens": {},
		"/operator/clients/c/delete":    {"confirm": {"c"}},
		"/operator/signing-keys/rotate": {},
		"/operator/users":               {"email": {"sneaked@example.com"}, "role": {"operator"}, "once": {"5"}},
	}
}

// stored is everything that a form could change.
func stored(t testing.TB, b *storetest.Backend) string {
	t.Helper()
	dump := b.Dump(t)
	maps.DeleteFunc(dump, func(key string, _ []string) bool {
		return strings.HasPrefix(key, "mk:f:") || key == "mk:refusals"
	})
	var all strings.Builder
	for _, key := range slices.Sorted(maps.Keys(dump)) {
		if values := dump[key]; strings.HasPrefix(key, "mk:p:") || strings.HasPrefix(key, "mk:c:") { // a hash, in any order
			slices.Sort(values)
		}
		fmt.Fprintf(&all, "%q: %q\n", key, dump[key])
	}
	return all.String()
}

// TestForgedForms sends what another site, or a page of another user, could have made a browser send.
func TestForgedForms(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		s.Register(t, servertest.M{"client_id": "c", "scope": "read"})
		u := s.User(t, servertest.M{"email": "ada@example.com", "role": "operator"})
		v := visit(t, s).redeem(s.Invite(t, u), secret)
		_, key := v.makeKey("one")
		other, _ := newcomer(t, s, "mallory@example.com")
		gone := v.copied()
		gone.signIn(u.Email, secret).wantTo("/settings")
		v.signIn(u.Email, secret) // and in again: the copied session is another one
		token := v.get("/settings").form("/logout").Get("form_token")
		old := gone.get("/settings").form("/logout").Get("form_token")
		gone.submit(gone.get("/settings"), "/logout").wantTo("/login?done=signed-out")

		sent := func(what string, token []string, edits ...servertest.Edit) {
			t.Helper()
			before := stored(t, b)
			for path, form := range forms(key, "all") {
				forged := maps.Clone(form)
				forged["form_token"] = token
				if len(token) == 0 {
					delete(forged, "form_token")
				}
				p := v.post(path, forged, edits...)
				if p.Status != http.StatusForbidden && (p.Status != http.StatusBadRequest || len(token) < 2) {
					t.Errorf("%s: POST %s: %d, want 403", what, path, p.Status)
				}
			}
			if after := stored(t, b); after != before {
				t.Errorf("%s has changed something:\n%s\n%s", what, before, after)
			}
		}
		header := servertest.Header
		sent("no form token", nil)
		sent("an empty form token", []string{""})
		sent("a wrong form token", []string{strings.Repeat("A", len(token))})
		sent("another user's form token", []string{other.get("/settings").form("/logout").Get("form_token")})
		sent("a form token without a session", []string{visit(t, s).get("/login").form("/login").Get("form_token")})
		sent("a form token of a revoked session", []string{old})
		sent("a form token twice", []string{token, token})
		sent("Origin null", []string{token}, header("Origin", "null"))
		sent("another Origin", []string{token}, header("Origin", "https://evil.example"))
		sent("another Origin and cross-site", []string{token}, header("Origin", "https://evil.example"), header("Sec-Fetch-Site", "cross-site"))
		sent("cross-site", []string{token}, header("Sec-Fetch-Site", "cross-site"))
		sent("same-site", []string{token}, header("Sec-Fetch-Site", "same-site"))

		before := stored(t, b)
		for path, form := range forms(key, "all") {
			form.Set("form_token", token)
			for _, kind := range []string{"text/plain", "multipart/form-data; boundary=x", "application/json", ""} {
				if got := v.post(path, form, header("Content-Type", kind)); got.Status != http.StatusUnsupportedMediaType {
					t.Errorf("POST %s as %q: %d", path, kind, got.Status)
				}
			}
			if got := v.post(path+"?"+form.Encode(), nil); got.Status != http.StatusForbidden {
				t.Errorf("POST %s, in the query: %d", path, got.Status)
			}
		}
		// Signing in is a form too: another site could sign a browser in to an account of the attacker's.
		for _, edit := range []servertest.Edit{header("Origin", "null"), header("Origin", "https://evil.example"), header("Sec-Fetch-Site", "cross-site")} {
			stranger := visit(t, s)
			form := stranger.get("/login").form("/login")
			form.Set("email", u.Email)
			form.Set("password", secret)
			if got := stranger.post("/login", form, edit); got.Status != http.StatusForbidden {
				t.Errorf("POST /login: %d", got.Status)
			}
			form.Del("form_token")
			stranger.post("/login", form).want(http.StatusForbidden)
			visit(t, s).post("/login", stranger.get("/login").form("/login")).want(http.StatusForbidden)
		}
		if after := stored(t, b); after != before {
			t.Errorf("something was changed:\n%s\n%s", before, after)
		}

		// Our own forms pass, with whatever Host the proxy sends.
		rename := url.Values{"form_token": {token}, "name": {"Ada"}}
		v.post("/settings/profile", rename, header("Origin", servertest.Issuer)).wantTo("/settings/profile?done=saved")
		v.post("/settings/profile", rename, header("Sec-Fetch-Site", "same-origin")).wantTo("/settings/profile?done=saved")
		v.post("/settings/profile", rename).wantTo("/settings/profile?done=saved")
		v.submit(v.get("/settings"), "/logout").wantTo("/login?done=signed-out")
		v.post("/settings/keys", url.Values{"form_token": {token}}).wantTo("/login")
	})
}

// TestGetIsSafe: GET and HEAD change nothing.
func TestGetIsSafe(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := servertest.New(t, b)
	s.Register(t, servertest.M{"client_id": "c", "scope": "read"})
	u := s.User(t, servertest.M{"email": "ada@example.com", "role": "operator"})
	v := visit(t, s).redeem(s.Invite(t, u), secret)
	_, key := v.makeKey("one")
	token := v.get("/settings").form("/logout").Get("form_token")
	link := s.Invite(t, s.User(t, servertest.M{"email": "new@example.com"})) // one for ada would sign her out
	before := stored(t, b)
	for path, form := range forms(key, "all") {
		form.Set("form_token", token)
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			got := v.do(method, path+"?"+form.Encode(), "")
			seen := method == http.MethodGet || method == http.MethodHead
			switch {
			case got.Status == http.StatusMethodNotAllowed && strings.Contains(got.Header.Get("Allow"), "POST"):
			case got.Status == http.StatusOK && seen: // the path has a page too
			default:
				t.Errorf("%s %s: %d, Allow %q", method, path, got.Status, got.Header.Get("Allow"))
			}
		}
	}
	pages := []string{
		"/", "/login", "/settings", "/settings/keys/new", key, "/settings/profile", "/docs", link[strings.Index(link, "/invite/"):],
		"/operator", "/operator/clients", "/operator/register-client", "/operator/clients/c", "/operator/users", "/operator/users/" + u.ID,
		"/operator/keys", "/operator/keys/" + key[len("/settings/keys/"):], "/operator/audit", "/operator/audit.jsonl",
	}
	for _, path := range pages {
		got, head := v.do(http.MethodGet, path, ""), v.do(http.MethodHead, path, "")
		if got.Status >= 400 || head.Status != got.Status || head.Body != "" || head.Header.Get("Content-Type") != got.Header.Get("Content-Type") {
			t.Errorf("%s: GET %d, HEAD %d with %d bytes", path, got.Status, head.Status, len(head.Body))
		}
	}
	if after := stored(t, b); after != before {
		t.Errorf("something was changed:\n%s\n%s", before, after)
	}
}
