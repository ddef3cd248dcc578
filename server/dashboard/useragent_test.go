package dashboard_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/mintkeep/mintkeep/server/servertest"
)

// plainHTTP makes a server that a browser reaches by plain http, as on a developer's own machine.
const plainHTTP = "MINTKEEP_ISSUER=http://localhost:8080"

// secret is the password of every user in tests.
const secret = "purple lantern over nine hills"

// userAgent is a browser that has cookies and can read, and nothing else.
type userAgent struct {
	t       testing.TB
	s       *servertest.Server
	cookies map[string]string
}

func visit(t testing.TB, s *servertest.Server) *userAgent {
	return &userAgent{t, s, map[string]string{}}
}

// at is the same browser, led to another replica.
func (v *userAgent) at(s *servertest.Server) *userAgent { return &userAgent{v.t, s, v.cookies} }

// copied is another browser with the cookies of this moment.
func (v *userAgent) copied() *userAgent { return &userAgent{v.t, v.s, maps.Clone(v.cookies)} }

// under is the userAgent in a subtest.
func (v *userAgent) under(t testing.TB) *userAgent { return &userAgent{t, v.s, v.cookies} }

// session is the cookie's name and value.
func (v *userAgent) session() (name, value string) {
	for name, value := range v.cookies {
		if strings.HasSuffix(name, "mintkeep_session") {
			return name, value
		}
	}
	return "", ""
}

func (v *userAgent) get(path string, edits ...servertest.Edit) page {
	v.t.Helper()
	return v.do(http.MethodGet, path, "", edits...)
}

func (v *userAgent) post(path string, form url.Values, edits ...servertest.Edit) page {
	v.t.Helper()
	edits = append([]servertest.Edit{servertest.Header("Content-Type", "application/x-www-form-urlencoded")}, edits...)
	return v.do(http.MethodPost, path, form.Encode(), edits...)
}

var plainClient = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (v *userAgent) do(method, path, body string, edits ...servertest.Edit) page {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.s.URL+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, edit := range edits {
		edit(r)
	}
	response, err := plainClient.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range response.Cookies() {
		delete(v.cookies, c.Name)
		if c.MaxAge >= 0 && c.Value != "" {
			v.cookies[c.Name] = c.Value
			v.s.Secret(c.Value)
		}
	}
	p := page{servertest.Response{Status: response.StatusCode, Header: response.Header, Body: string(read)}, v.t, nil, ""}
	if cfg := v.s.Config; cfg.SeparateAdmin() {
		p.elsewhere = map[bool]string{true: cfg.AdminURL, false: cfg.Issuer}[v.s.Private != nil]
	}
	if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") && method != http.MethodHead {
		if p.root, err = html.Parse(strings.NewReader(p.Body)); err != nil {
			v.t.Fatal(err)
		}
		p.prove()
	}
	return p
}

// submit fills in the form with this action on the page, and sends it; "-" stands for a box that is not ticked.
func (v *userAgent) submit(p page, action string, fields ...string) page {
	v.t.Helper()
	form := p.form(action)
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] == "-" {
			form.Del(fields[i])
		} else {
			form.Set(fields[i], fields[i+1])
		}
	}
	return v.post(action, form)
}

// redeem sets the password of an invited user, who is then signed in.
func (v *userAgent) redeem(link, password string) *userAgent {
	v.t.Helper()
	path := link[strings.Index(link, "/invite/"):]
	v.submit(v.get(path).want(http.StatusOK), path, "password", password, "again", password).wantTo("/settings")
	v.s.Secret(password)
	return v
}

// signIn signs in a user who has a password.
func (v *userAgent) signIn(email, password string) page {
	v.t.Helper()
	return v.submit(v.get("/login").want(http.StatusOK), "/login", "email", email, "password", password)
}

// newcomer adds a user and signs in by the invite.
func newcomer(t testing.TB, s *servertest.Server, email string) (*userAgent, servertest.User) {
	t.Helper()
	u := s.User(t, servertest.M{"email": email})
	return visit(t, s).redeem(s.Invite(t, u), secret), u
}

// makeKey makes a key on the page for it, and returns what is shown.
func (v *userAgent) makeKey(name string) (plain, path string) {
	v.t.Helper()
	made := v.submit(v.get("/settings/keys/new").want(http.StatusOK), "/settings/keys", "name", name).want(http.StatusOK)
	plain = made.value("secret")
	v.s.Secret(plain)
	for _, link := range v.get("/settings").all("a") {
		if text(link) == name {
			path = attribute(link, "href")
		}
	}
	if path == "" {
		v.t.Fatalf("the list does not have the key %q", name)
	}
	return plain, path
}

// page is an answer that a browser shows.
type page struct {
	servertest.Response
	t    testing.TB
	root *html.Node

	elsewhere string // the origin of the other listener; empty: there is one alone
}

func (p page) want(status int) page {
	p.t.Helper()
	if p.Status != status {
		p.t.Fatalf("got %d, want %d: %.2000s", p.Status, status, p.visible())
	}
	return p
}

// stoppedAt is the part of an address that says when something stopped.
var stoppedAt = regexp.MustCompile(`&at=[0-9]+$`)

// wantTo fails the test unless the answer leads to location, by 303.
func (p page) wantTo(location string) page {
	p.t.Helper()
	if got := stoppedAt.ReplaceAllString(p.want(http.StatusSeeOther).Header.Get("Location"), ""); got != location {
		p.t.Fatalf("it leads to %q, want %q", got, location)
	}
	return p
}

// says fails the test unless the page shows these words.
func (p page) says(words ...string) page {
	p.t.Helper()
	for _, w := range words {
		if !strings.Contains(p.visible(), w) {
			p.t.Errorf("the page does not say %q: %.2000s", w, p.visible())
		}
	}
	return p
}

func (p page) visible() string {
	if p.root == nil {
		return p.Body
	}
	return text(p.root)
}

// all finds the elements of a kind, in order.
func (p page) all(tags ...string) (found []*html.Node) {
	if p.root == nil {
		return nil
	}
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && slices.Contains(tags, n.Data) {
			found = append(found, n)
		}
	}
	return found
}

// value is that of the field with this id.
func (p page) value(id string) string {
	p.t.Helper()
	for _, n := range p.all("input") {
		if attribute(n, "id") == id {
			return attribute(n, "value")
		}
	}
	p.t.Fatalf("the page has no field %q: %.2000s", id, p.visible())
	return ""
}

// form is what the form with this action would send, unchanged.
func (p page) form(action string) url.Values {
	p.t.Helper()
	for _, form := range p.all("form") {
		if attribute(form, "action") == action && attribute(form, "method") == "post" {
			return fields(form)
		}
	}
	p.t.Fatalf("the page has no form for %s: %.2000s", action, p.visible())
	return nil
}

func fields(form *html.Node) url.Values {
	sent := url.Values{}
	for n := range form.Descendants() {
		name, kind := attribute(n, "name"), attribute(n, "type")
		switch {
		case n.Data == "input" && (kind == "checkbox" || kind == "radio") && !has(n, "checked"):
		case n.Data == "input":
			sent.Add(name, attribute(n, "value"))
		case n.Data == "textarea":
			sent.Add(name, text(n))
		case n.Data == "select":
			for o := range n.Descendants() {
				if o.Data == "option" && has(o, "selected") {
					sent.Add(name, attribute(o, "value"))
				}
			}
		}
	}
	return sent
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text is what can be read in n, with one space between words.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
