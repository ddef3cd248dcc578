package server_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// formToken is the hidden field of a form of the dashboard.
var formToken = regexp.MustCompile(`name="form_token" value="([^"]+)"`)

// fill sends the form on a page of the dashboard, as a new browser does, and returns the status of the answer.
func fill(t *testing.T, s *servertest.Server, path string, fields url.Values) int {
	t.Helper()
	do := func(method, body, cookie string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", cookie)
		response, err := http.DefaultTransport.RoundTrip(r) // which follows no redirect
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	shown := do(http.MethodGet, "", "")
	page, err := io.ReadAll(shown.Body)
	_ = shown.Body.Close()
	token := formToken.FindSubmatch(page)
	if err != nil || token == nil {
		t.Fatalf("%s has no form: %v: %s", path, err, page)
	}
	fields.Set("form_token", string(token[1]))
	cookie, _, _ := strings.Cut(shown.Header.Get("Set-Cookie"), ";")
	answer := do(http.MethodPost, fields.Encode(), cookie)
	_ = answer.Body.Close()
	return answer.StatusCode
}

// A sign-in that has used up its store time is 503, and does not stay counted as a failure.
func TestSignInOutOfTimeIsNotCounted(t *testing.T) {
	t.Parallel()
	const password = "purple lantern over nine hills"
	redis := storetest.Redis(t)
	p, b := storetest.NewLateProxy(t, redis), redis.Backend(t)
	s, other := servertest.New(t, b.Through(p).Patient()), servertest.New(t, b)
	s.Server.KeepBudget()
	ada := other.User(t, servertest.M{"email": "ada@example.com"})
	link := other.Invite(t, ada)
	redeemed := fill(t, other, link[strings.Index(link, "/invite/"):], url.Values{"password": {password}, "again": {password}})
	if redeemed != http.StatusSeeOther {
		t.Fatalf("the invite: got %d, want 303", redeemed)
	}
	signIn := func(s *servertest.Server, password string, want int) {
		t.Helper()
		if got := fill(t, s, "/login", url.Values{"email": {ada.Email}, "password": {password}}); got != want {
			t.Errorf("a sign-in with the password %q: got %d, want %d", password, got, want)
		}
	}
	for range 9 {
		signIn(other, "wrong", http.StatusUnauthorized)
	}
	held := p.Hold(storetest.Command("get", "mk:e:")) // of the email, until the store time is over
	signIn(s, password, http.StatusServiceUnavailable)
	held.Release()
	signIn(other, password, http.StatusSeeOther)
}
