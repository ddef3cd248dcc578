package dashboard_test

import (
	"net/http"
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
	b.says("Uses a day 1 in all", "Last used: just now from 127.0.0.1")
	b.press("main a.dangerous")
	b.says("Revoke the API key “deploy script”?", "Used just now from 127.0.0.1.")
	b.fill("#reason", "it was a test")
	b.fill("#confirm", "deploy script")
	b.press("button.dangerous")
	b.says("The key is revoked. It stopped working at once.", "No key matches")
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
	b.says("0 clients", "1 people")
	b.press("main a[href='/operator/clients']")
	b.press("main a.button")
	b.fill("#client_id", "billing")
	b.fill("#scope", "read write")
	b.press("main button[type=submit]")
	b.says("The client is registered", "Store it now")
	c := servertest.Client{ID: "billing", Secret: b.value("#secret")}
	s.Secret(c.Secret)
	token := s.Token(t, c)

	b.press("main a.button") // "It is stored"
	b.says("read", "write", "enabled")
	b.press("form[action$=disable] button")
	b.says("Disabled.", "disabled")
	refusal := s.Post(t, "/oauth/token", "grant_type=client_credentials", c.Basic())
	refusal.Want(t, http.StatusUnauthorized, "invalid_client")
	b.press("form[action$=enable] button")
	s.Token(t, c)
	b.press("form[action$=revoke-tokens] button")
	b.says("Every token that was issued until now has ended.")
	s.Me(t, token).Want(t, http.StatusUnauthorized, "invalid_token")
	b.fill("#confirm", "billing")
	b.press("form[action$=delete] button")
	b.says("The client is deleted, and its tokens have ended.")
	b.press("main a[href='/operator/audit']")
	b.says("client.deleted", "client billing deleted", u.Email)
}
