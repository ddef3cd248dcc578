package dashboard_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// pageLimit is the most that a page may weigh, without what it refers to.
const pageLimit = 100 << 10

// prove holds every page that a test sees to the headers and elements that all have.
func (p page) prove() {
	p.t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Frame-Options":         "DENY",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
		"Content-Type":            "text/html; charset=utf-8",
	} {
		if got := p.Header.Values(name); !slices.Equal(got, []string{want}) {
			p.t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	// A page that may be cached must be the same for every user.
	if got := p.Header.Get("Cache-Control"); got != "no-store" && (got != "public, max-age=300" || len(p.all("form")) > 0) {
		p.t.Errorf("Cache-Control: %q", got)
	}
	if len(p.Body) > pageLimit {
		p.t.Errorf("the page has %d bytes, want at most %d", len(p.Body), pageLimit)
	}
	ids := map[string]bool{}
	for n := range p.root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, what := range wrongWith(n, p.elsewhere) {
			p.t.Errorf("<%s>: %s", n.Data, what)
		}
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				p.t.Errorf("two elements have the id %q", id)
			}
			ids[id] = true
		}
	}
	if len(p.all("h1")) != 1 || len(p.all("main")) != 1 {
		p.t.Errorf("the page has %d h1 and %d main", len(p.all("h1")), len(p.all("main")))
	}
}

// expected are the elements that our templates use.
var expected = strings.Fields("html head meta title link script body a header img nav form input span button main p div h1 h2 h3 h4 " +
	"strong em code pre dl dt dd ul ol li table caption thead tbody tr th td label select option datalist textarea fieldset legend time br " +
	"wbr article figure figcaption svg line rect pattern symbol use details summary section text g path")

func wrongWith(n *html.Node, elsewhere string) (wrong []string) {
	if !slices.Contains(expected, n.Data) {
		wrong = append(wrong, "is not one of ours")
	}
	for _, a := range n.Attr {
		switch {
		case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc", a.Key == "formaction":
			wrong = append(wrong, "has "+a.Key)
		case slices.Contains([]string{"src", "href", "action", "xlink:href", "data"}, a.Key) && !ours(a.Val, elsewhere):
			wrong = append(wrong, fmt.Sprintf("leads to %q", a.Val))
		}
	}
	if n.Data == "script" && (attribute(n, "src") == "" || n.FirstChild != nil) || n.Data == "style" {
		wrong = append(wrong, "is inline")
	}
	if n.Data == "form" && attribute(n, "method") == "post" && fields(n).Get("form_token") == "" {
		wrong = append(wrong, "has no token")
	}
	return wrong
}

// ours is whether a link leads to one of our pages. elsewhere is the origin of the other listener, empty if there is none.
func ours(link, elsewhere string) bool {
	link = strings.TrimPrefix(link, elsewhere)
	return strings.HasPrefix(link, "/") && !strings.HasPrefix(link, "//") && !strings.Contains(link, `\`) || strings.HasPrefix(link, "#")
}

// TestHeaders checks the headers of pages of every kind, behind a proxy that forges Host and X-Forwarded-*.
func TestHeaders(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, u := newcomer(t, s, "a@example.com")
	_, key := v.makeKey("one")
	stranger := visit(t, s)
	spoof := func(r *http.Request) {
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("Forwarded", "host=evil.example;proto=http")
	}
	for _, path := range []string{"/settings", "/settings/keys/new", "/settings/profile", key, "/settings/keys/none", "/static/none"} {
		p := v.get(path, spoof)
		if p.root == nil {
			t.Errorf("%s: it is no page: %s", path, p.Header.Get("Content-Type"))
		}
		if strings.Contains(p.Body, "evil.example") {
			t.Errorf("%s: the Host is used", path)
		}
		if p = stranger.get(path, spoof); strings.Contains(p.Header.Get("Location"), "evil.example") {
			t.Errorf("%s: it leads to %s", path, p.Header.Get("Location"))
		}
	}
	login := stranger.get("/login", spoof)
	if cookies := login.Header.Values("Set-Cookie"); len(cookies) != 1 || !strings.Contains(cookies[0], "; Secure") {
		t.Errorf("X-Forwarded-Proto decides on %q", cookies)
	}
	made := v.submit(v.get("/settings/keys/new"), "/settings/keys", "name", "two").want(http.StatusOK)
	s.Secret(made.value("secret"))
	made.says("curl", servertest.Issuer+"/api/v1/users/me", "Treat your API key like a password. Do not share it publicly or embed it directly in client-side code.")
	if strings.Contains(s.Invite(t, u), "evil") {
		t.Error("an invite leads elsewhere")
	}

	for _, n := range login.all("link", "script", "img") {
		at := attribute(n, "href") + attribute(n, "src")
		file := stranger.get(at).want(http.StatusOK)
		if got := file.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %s", at, got)
		}
		if file.Header.Get("X-Content-Type-Options") != "nosniff" || len(file.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %v", at, file.Header)
		}
	}
	for _, sneaky := range []string{"/static/app.css", "/static/..%2fapp.css", "/static/%2e%2e/dashboard.go", "/static/"} {
		if got := stranger.get(sneaky); got.Status != http.StatusNotFound {
			t.Errorf("%s: %d", sneaky, got.Status)
		}
	}
}
