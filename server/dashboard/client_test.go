package dashboard_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Everything that the API can change of a client can be changed on its page. The page takes what the CLI takes.
func TestClientSettings(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing", "scope": "read"})
	at := "/operator/clients/billing"
	fields := []string{
		"client_name", "Accounts", "scope", " read  write ", "access_token_ttl", "15m", "access_token_format", "opaque",
		"audience", "https://a.example https://b.example", "rate_limit", "600/m", "token_endpoint_auth_method", "client_secret_post", "grant", "-",
	}
	v.confirm(v.submit(v.get(at), at, fields...), at).wantTo(at + "?done=client-saved")
	got := s.Admin(t, http.MethodGet, "/admin/clients/billing", nil).JSON(t)
	for member, want := range map[string]string{
		"client_name": "Accounts", "scope": "read write", "access_token_ttl": "900", "access_token_format": "opaque",
		"audience": "[https://a.example https://b.example]", "rate_limit": "600/m", "token_endpoint_auth_method": "client_secret_post", "grant_types": "[]",
	} {
		if text := fmt.Sprint(got[member]); text != want {
			t.Errorf("%s: got %s, want %s", member, text, want)
		}
	}
	// The form has what is stored: sent as it is, it changes nothing.
	form := v.get(at).form(at)
	v.post(at, form).wantTo(at + "?done=client-saved")
	if again := s.Admin(t, http.MethodGet, "/admin/clients/billing", nil).JSON(t); fmt.Sprint(again) != fmt.Sprint(got) {
		t.Errorf("the form changed %v to %v", got, again)
	}
	if form.Get("access_token_ttl") != "15m" {
		t.Errorf("the token lifetime is shown as %q", form.Get("access_token_ttl"))
	}
	// And back to the defaults.
	fields = []string{"client_name", "", "access_token_ttl", "", "audience", "", "rate_limit", "", "token_endpoint_auth_method", "", "grant", "client_credentials"}
	v.confirm(v.submit(v.get(at), at, fields...), at).wantTo(at + "?done=client-saved")
	got = s.Admin(t, http.MethodGet, "/admin/clients/billing", nil).JSON(t)
	if got["rate_limit"] != nil || got["access_token_ttl"] != nil || fmt.Sprint(got["grant_types"]) != "[client_credentials]" {
		t.Errorf("after the defaults were chosen: %v", got)
	}
}

// The pages of a client and a user that a declaration manages say so.
func TestManagedBy(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	s.Register(t, servertest.M{"client_id": "billing", "managed_by": "platform"})
	u := s.User(t, servertest.M{"email": "managed@example.com", "managed_by": "platform"})
	for _, at := range []string{"/operator/clients/billing", "/operator/users/" + u.ID} {
		if page := v.get(at); !strings.Contains(page.Body, "platform: the next <code>mintkeep apply</code>") {
			t.Errorf("%s does not say who manages it", at)
		}
	}
}

// A client may be called as a part of the pages' addresses: its page is there all the same.
func TestClientWithAnyName(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	for _, id := range []string{"new", "register-client", "secrets", "delete", "revoke"} {
		v.submit(v.get("/operator/register-client"), "/operator/clients", "client_id", id, "scope", "read").want(http.StatusOK)
		page := v.get("/operator/clients/" + id).want(http.StatusOK)
		v.submit(page, "/operator/clients/"+id, "client_name", "The client "+id).wantTo("/operator/clients/" + id + "?done=client-saved")
	}
}

// What is wrong is said at the field, in the words of its label, and what was typed stays.
func TestClientFieldProblems(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	s.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
	at := "/operator/clients/billing"
	for _, tt := range []struct{ field, text, says string }{
		{"access_token_ttl", "15 minutes", "Token lifetime must be a duration of whole seconds such as 15m, or a number of seconds such as 900."},
		{"access_token_ttl", "0", "Token lifetime must be a duration of whole seconds such as 15m, or a number of seconds such as 900."},
		{"access_token_ttl", "1500ms", "Token lifetime must be a duration of whole seconds such as 15m, or a number of seconds such as 900."},
		{"access_token_ttl", "10000h", "Token lifetime must be at most"},
		{"access_token_ttl", strings.Repeat("9", 30), "Token lifetime must be at most"},
		{"client_name", strings.Repeat("x", 201), "Name must"},
		{"scope", "two\"quotes", "Scopes must"},
		{"audience", "not-a-uri", "Audience must be absolute URIs."},
		{"rate_limit", "many", "Rate limit must"},
		{"token_endpoint_auth_method", "none", "Client authentication method none is not supported"},
	} {
		for page, action := range map[string]string{at: at, "/operator/register-client": "/operator/clients"} {
			p := v.submit(v.get(page), action, tt.field, tt.text).want(http.StatusBadRequest)
			p.saysAt(tt.field, tt.says)
			if got := p.form(action).Get(tt.field); got != tt.text && tt.field != "token_endpoint_auth_method" {
				t.Errorf("%s, %s: %q comes back as %q", page, tt.field, tt.text, got)
			}
		}
	}
	p := v.submit(v.get("/operator/register-client"), "/operator/clients", "client_id", "billing", "scope", "read").want(http.StatusConflict)
	if p.saysAt("client_id", "Client ID is taken."); p.value("scope") != "read" {
		t.Error("the scopes are lost")
	}
	v.submit(p, "/operator/clients", "client_id", "two words").want(http.StatusBadRequest).saysAt("client_id", "Client ID must be")
}

// saysAt fails the test unless the problem that describes a field begins so.
func (p page) saysAt(id, begins string) {
	p.t.Helper()
	field := p.field(id)
	if attribute(field, "aria-invalid") != "true" {
		p.t.Errorf("the field %s is not marked as invalid: %.2000s", id, p.visible())
	}
	for described := range strings.FieldsSeq(attribute(field, "aria-describedby")) {
		for _, n := range p.all("p") {
			if attribute(n, "id") == described && strings.HasPrefix(text(n), begins) {
				return
			}
		}
	}
	p.t.Errorf("the page does not say %q at the field %s: %.2000s", begins, id, p.visible())
}

// Whatever stops a client is asked about on a page of its own, which says what is in use.
func TestClientConfirmations(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, _ := chief(t, s)
	c := s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing", "scope": "read"})
	at := "/operator/clients/billing"
	s.Token(t, c)
	flush := func() {
		t.Helper()
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	b.Clock.Advance(4 * time.Second)
	revoke := func() (paths []string) {
		for _, a := range v.get(at).all("a") {
			if strings.HasSuffix(attribute(a, "href"), "/revoke") {
				paths = append(paths, attribute(a, "href"))
			}
		}
		return paths
	}
	for path, want := range map[string][]string{
		at + "/disable":       {"Disable the client “Billing”?", "The client requested its last token 4 s ago.", "Its secrets stay."},
		at + "/revoke-tokens": {"Revoke all tokens of the client “Billing”?", "The client requested its last token 4 s ago."},
		at + "/delete":        {"Delete the client “Billing”?", "cannot be undone", "type the client ID: billing"},
		revoke()[0]:           {"of the client “Billing”?", "Used 4 s ago. No other secret is active", "type the client ID: billing"},
	} {
		before := stored(t, b)
		p := v.get(path).want(http.StatusOK).says(want...)
		if !p.cancelsTo(at) {
			t.Errorf("%s: there is no Cancel that leads to the client and has the focus", path)
		}
		if p.form(path).Has("confirm") {
			v.submit(p, path, "confirm", "Billing").want(http.StatusBadRequest).wrongAt("confirm", "Type the client ID exactly as it is shown.")
		}
		if after := stored(t, b); after != before {
			t.Errorf("%s has changed something:\n%s\n%s", path, before, after)
		}
	}

	made := v.submit(v.get(at), at+"/secrets", "overlap", "168h").want(http.StatusOK)
	next := servertest.Client{ID: c.ID, Secret: made.value("secret")}
	s.Secret(next.Secret)
	both := v.get(at).says("Two secrets are active, which is the maximum.")
	for _, form := range both.all("form") {
		if attribute(form, "action") == at+"/secrets" {
			t.Error("a third secret is offered")
		}
	}
	old := revoke()[0]
	v.get(old).says("Used 4 s ago.", "was never used: the client may not have it yet.")
	s.Token(t, next)
	flush()
	b.Clock.Advance(25 * time.Hour)
	v.signIn("op@example.com", secret).wantTo("/settings")
	p := v.get(old).says("The secret was last used 1 day ago.", "stays active. It was last used 1 day ago.")
	if p.form(old).Has("confirm") {
		t.Error("the client's id must be typed though another secret is active")
	}
	v.submit(p, old).wantTo(at + "?done=secret-revoked")
	s.Post(t, "/oauth/token", "grant_type=client_credentials", c.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
	s.Token(t, next)
	v.get(old).want(http.StatusNotFound)
	last := revoke()[0]
	v.submit(v.get(last), last, "confirm", "billing").wantTo(at + "?done=secret-revoked")
	v.get(at).says("No secret is active: the client cannot authenticate.")
	again := v.submit(v.get(at), at+"/secrets").want(http.StatusOK).says("Save it now.")
	s.Secret(again.value("secret"))
	v.submit(v.get(at+"/delete"), at+"/delete", "confirm", "billing").wantTo("/operator/clients?done=client-deleted")
}

// cancelsTo is whether Cancel leads there and has the focus.
func (p page) cancelsTo(path string) bool {
	for _, a := range p.all("a") {
		if text(a) == "Cancel" && attribute(a, "href") == path && has(a, "autofocus") {
			return true
		}
	}
	return false
}

// The pages show what became of a client's token requests, and why the last one was rejected.
func TestClientActivity(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b), servertest.New(t, b)
		v, _ := chief(t, s)
		c := s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing", "scope": "read"})
		quiet := s.Register(t, servertest.M{"client_id": "quiet", "scope": "read"})
		at := "/operator/clients/billing"
		v.get(at).says("Last token never", "Last rejection never", "issued: total 0 · peak 0/min", "rejected: total 0 · peak 0/min")
		v.get("/operator").says("No token request of a registered client was rejected.", "No registered client requested a token.")

		for range 3 {
			s.Token(t, c)
		}
		replica.Token(t, c)
		replica.Token(t, quiet)
		post := func(form string, by servertest.Client) {
			s.Post(t, "/oauth/token", form, by.Basic())
		}
		post("grant_type=client_credentials&scope=write", c)
		post("grant_type=client_credentials", servertest.Client{ID: "nobody", Secret: "wrong"})
		b.Clock.Advance(time.Second)
		post("grant_type=client_credentials", servertest.Client{ID: "billing", Secret: "wrong"})
		for _, one := range []*servertest.Server{s, replica} {
			if err := one.Store.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		b.Clock.Advance(4 * time.Second)
		for path, per := range map[string]string{at: "min", at + "?range=day": "15 min"} {
			v.get(path).says("Last token 5 s ago", "Last rejection invalid_client (wrong secret) 4 s ago",
				"issued: total 4 · peak 4/"+per, "rejected: total 2 · peak 2/"+per)
		}
		v.get("/operator/clients").says("5 s ago")
		page := v.get("/operator").says("invalid_client wrong secret 4 s ago", "rejected: total 3 · peak 3/min", "2 clients", "1 user ", "Rejected credentials in the audit log")
		v.get("/operator/audit?which=refusals&since=1h").says("wrong secret")
		rows := page.rowsWith("Billing")
		if len(rows) != 2 || rows[0] != "Billing2 rejectedinvalid_client wrong secret 4 s ago" || rows[1] != "Billing6 token requests2 rejected" {
			t.Errorf("the lists say %q of Billing", rows)
		}
		if rows := page.rowsWith("quiet"); len(rows) != 1 || rows[0] != "quiet1 token request0 rejected" {
			t.Errorf("the lists say %q of the other client", rows)
		}
		if strings.Contains(page.visible(), "nobody") {
			t.Error("a client that is not registered is listed")
		}
		for key := range b.Dump(t) {
			if strings.Contains(key, "nobody") {
				t.Errorf("a client that is not registered has %q", key)
			}
		}
	})
}

// rowsWith are the rows of tables that begin with a link of this text.
func (p page) rowsWith(link string) (rows []string) {
	for _, tr := range p.all("tr") {
		if a := firstOf(tr, "a"); a != nil && text(a) == link {
			rows = append(rows, text(tr))
		}
	}
	return rows
}

func firstOf(n *html.Node, tag string) *html.Node {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == tag {
			return d
		}
	}
	return nil
}

// An operator rotates the signing keys on the page, once the next key may sign.
func TestRotateSigningKeysOnPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		v, u := chief(t, s)
		const path = "/operator/signing-keys/rotate"
		v.get("/operator").says("The keys can be rotated in 10 min")
		early := v.get(path).want(http.StatusOK).says("Not possible yet")
		v.submit(early, path).want(http.StatusConflict).says("published")
		b.Clock.Advance(11 * time.Minute)
		before := s.Ring.Keys()
		if p := v.get("/operator").want(http.StatusOK); firstLink(p, path) == "" {
			t.Errorf("the keys cannot be rotated: %.2000s", p.visible())
		}
		p := v.get(path).want(http.StatusOK).says("Rotate the signing keys?", "Nothing stops working.")
		if !p.cancelsTo("/operator") {
			t.Error("there is no Cancel that leads to the overview and has the focus")
		}
		v.submit(p, path).wantTo("/operator?done=keys-rotated")
		if after := s.Ring.Keys(); len(after) != len(before)+1 {
			t.Errorf("%d keys, want %d", len(after), len(before)+1)
		}
		v.submit(p, path).want(http.StatusConflict) // a second click
		log := s.Admin(t, http.MethodGet, "/admin/audit?action=signing_key.rotated", nil).Want(t, http.StatusOK, "")
		if strings.Count(log.Body, `"signing_key.rotated"`) != 1 || !strings.Contains(log.Body, "user:"+u.ID) {
			t.Errorf("the audit log: %s", log.Body)
		}
	})
}

func firstLink(p page, href string) string {
	for _, a := range p.all("a") {
		if attribute(a, "href") == href {
			return text(a)
		}
	}
	return ""
}
