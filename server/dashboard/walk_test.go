package dashboard_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestWalk is a newcomer's way from the invite to a key that is revoked, and an operator's from a new client to
// one that is disabled.
func TestWalk(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]look{"with JavaScript": desk, "without JavaScript": {"bare", 1280, 900, false, true}} {
		t.Run(name, func(t *testing.T) {
			needChromium(t)
			t.Parallel()
			walk(t, servertest.New(t, storetest.Embedded(t), plainHTTP), l)
			operate(t, servertest.New(t, storetest.Embedded(t), plainHTTP), l)
		})
	}
}

func walk(t *testing.T, s *servertest.Server, l look) {
	u := s.User(t, servertest.M{"email": "ada@example.com", "name": "Ada"})
	link := s.Invite(t, u)
	b := openTab(t, s, l)
	s.Secret(secret)

	b.open(link[strings.Index(link, "/invite/"):])
	b.says("Set your password", u.Email)
	b.fill("#password", secret)
	b.fill("#again", secret)
	b.press("main button[type=submit]")
	b.says("You have no API key yet")

	b.press("main a.button")
	if !l.NoScript {
		b.settle()
		if asked[string](b, "document.activeElement.id") != "name" {
			t.Error("the name has not the focus")
		}
	}
	b.fill("#name", "deploy script")
	b.press("main button[type=submit]")
	b.says("Save it now", "curl", "Treat your API key like a password.")
	plain := b.value("#secret")
	s.Secret(plain)

	b.press("main .actions a.button") // "Done, I saved it"
	b.says("deploy script", "never", "Active")
	s.Me(t, plain).Want(t, http.StatusOK, "")
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.open("/settings")
	b.says("just now", "from 127.0.0.1")

	b.press("main td a")
	b.says("Uses per day accepted: total 1 · peak 1/day rejected: total 0", "Last used: just now from 127.0.0.1")
	b.press("main a.dangerous")
	b.says("Revoke the API key “deploy script”?", "Used just now from 127.0.0.1.")
	b.fill("#reason", "it was a test")
	b.fill("#confirm", "deploy script")
	b.press("button.dangerous")
	b.says("The key is revoked.", "No key matches")
	if stopped := regexp.MustCompile(`It stopped working at \d{1,2} \w{3} \d{4}, [\d:]+ UTC\.`); !stopped.MatchString(b.visible()) {
		t.Errorf("the page does not say when the key stopped working: %s", b.visible())
	}
	s.Me(t, plain).Want(t, http.StatusUnauthorized, "invalid_token")

	b.press("main .empty a")
	b.press("main td a")
	b.says("it was a test by you", "Revoked")
	b.press(".who button")
	b.says("You are signed out.")
	b.open("/settings")
	b.says("Sign in")
	b.fill("#email", u.Email)
	b.fill("#password", secret)
	b.press("main button[type=submit]")
	b.says("API keys")
}

func operate(t *testing.T, s *servertest.Server, l look) {
	u := s.User(t, servertest.M{"email": "op@example.com", "role": "operator"})
	link := s.Invite(t, u)
	b := openTab(t, s, l)
	s.Secret(secret)
	b.open(link[strings.Index(link, "/invite/"):])
	b.fill("#password", secret)
	b.fill("#again", secret)
	b.press("main button[type=submit]")

	b.press("header a[href='/operator']")
	b.says("0 clients", "1 user")
	b.press("main a[href='/operator/clients']")
	b.press("main a.button")
	b.fill("#client_id", "billing")
	b.fill("#scope", "read write")
	b.fill("#access_token_ttl", "15 minutes")
	b.press("main button[type=submit]")
	b.says("Token lifetime must be a duration")
	b.fill("#access_token_ttl", "15m")
	b.press("main button[type=submit]")
	b.says("The client is registered", "Save it now")
	c := servertest.Client{ID: "billing", Secret: b.value("#secret")}
	s.Secret(c.Secret)
	token := s.Token(t, c)

	b.press("main a.button") // "Done, I saved it"
	b.says("read", "write", "Active", "Grants client_credentials", "JWT, lifetime 15 minutes")
	b.fill("#client_name", "Billing service")
	b.press("form[action$=billing] button")
	b.says("The client is saved.", "Billing service")
	b.press("main a[href$='/disable']")
	b.says("Disable the client “Billing service”?")
	b.press("button.dangerous")
	b.says("is disabled.", "Enable client")
	refusal := s.Post(t, "/oauth/token", "grant_type=client_credentials", c.Basic())
	refusal.Want(t, http.StatusUnauthorized, "invalid_client")
	b.press("form[action$=enable] button")
	s.Token(t, c)
	b.press("main a[href$='/revoke-tokens']")
	b.press("button.dangerous")
	b.says("Every token that was issued to the client until now is revoked.")
	s.Me(t, token).Want(t, http.StatusUnauthorized, "invalid_token")
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.press("main a[href='/operator/clients/billing?range=day']")
	b.says("issued: total 2 · peak 2/15 min", "rejected: total 1 · peak 1/15 min", "Last rejection invalid_client (disabled) just now")
	b.press("main a[href$='/revoke']")
	b.says("No other secret is active", "To confirm, type the client ID: billing")
	b.press("main a.button.secondary") // Cancel
	b.press("header a[href='/operator']")
	b.says("Billing service 3 1", "invalid_client disabled just now")
	b.press("main a[href='/operator/clients/billing']")
	b.press("main a[href$='/delete']")
	b.fill("#confirm", "billing")
	b.press("button.dangerous")
	b.says("The client is deleted. Its secrets and its tokens are revoked.")
	b.press("main a[href='/operator/audit']")
	b.says("client.deleted", "client billing deleted", u.Email)
}
