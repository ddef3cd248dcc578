package dashboard_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestRevokeSeveral is the way of keys that are selected in the list: what each is used for, and then all at once.
func TestRevokeSeveral(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b), servertest.New(t, b)
		v, u := newcomer(t, s, "ada@example.com")
		op, _ := chief(t, s)
		used, idle, kept := s.Key(t, u, servertest.M{"name": "in use"}), s.Key(t, u, servertest.M{"name": "idle"}), s.Key(t, u, servertest.M{"name": "kept"})
		s.Me(t, used.Plain).Want(t, http.StatusOK, "")
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		const path = "/settings/keys/revoke"
		query := path + "?" + url.Values{"id": {used.ID, idle.ID}}.Encode()
		p := v.get(query).want(http.StatusOK).says("Revoke 2 API keys?", "1 key was used within a day.", "in use", "last used just now from 127.0.0.1", "idle", "never used")
		if !p.cancelsTo("/settings") {
			t.Error("Cancel has not the focus")
		}
		wrong := v.submit(p, path, "confirm", "yes").want(http.StatusBadRequest)
		wrong.wrongAt("confirm", "Type the text exactly as it is shown.")
		replica.Me(t, used.Plain).Want(t, http.StatusOK, "")
		form := wrong.form(path)
		if got := form["id"]; len(got) != 2 {
			t.Errorf("the form has lost its keys: %q", got)
		}
		v.submit(wrong, path, "confirm", "revoke", "reason", "spring clean").wantTo("/settings?done=revoked-several")
		for _, key := range []servertest.Key{used, idle} {
			replica.Me(t, key.Plain).Want(t, http.StatusUnauthorized, "invalid_token")
			v.get("/settings/keys/" + key.ID).says("Revoked: spring clean by you")
		}
		replica.Me(t, kept.Plain).Want(t, http.StatusOK, "")
		if got := v.get("/settings").keyNames(); !slices.Equal(got, []string{"kept"}) {
			t.Errorf("left are %q", got)
		}
		v.get(query).wantTo("/settings?done=none-active")
		v.get(path).wantTo("/settings?done=none-selected")
		v.get("/settings?done=none-selected").says("No key is selected.")

		// Another user's key is as one that does not exist, and then none is revoked.
		other, _ := newcomer(t, s, "mallory@example.com")
		_, mine := other.makeKey("mallory's")
		id := strings.TrimPrefix(mine, "/settings/keys/")
		both := url.Values{"id": {id, kept.ID}, "form_token": other.get("/settings").form("/logout")["form_token"], "confirm": {"revoke"}}
		other.post(path, both).want(http.StatusNotFound)
		other.get(path + "?id=" + kept.ID).want(http.StatusNotFound)
		other.get(path + "?id=" + kept.Plain[:20]).want(http.StatusNotFound)
		other.get("/settings").says("mallory's", "1 key")
		replica.Me(t, kept.Plain).Want(t, http.StatusOK, "")

		// An operator revokes keys of any users.
		const all = "/operator/keys/revoke"
		p = op.get(all+"?"+url.Values{"id": {id, kept.ID}}.Encode()).says("Revoke 2 API keys?", u.Email, "mallory@example.com")
		op.submit(p, all, "confirm", "revoke").wantTo("/operator/keys?done=revoked-several")
		replica.Me(t, kept.Plain).Want(t, http.StatusUnauthorized, "invalid_token")
	})
}

// TestRevokeAllKeys is for a user who does not know which key has leaked.
func TestRevokeAllKeys(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, u := newcomer(t, s, "ada@example.com")
	bob := s.Key(t, s.User(t, servertest.M{"email": "bob@example.com"}), servertest.M{"name": "bob's"})
	var own []servertest.Key
	for _, name := range []string{"one", "two", "three"} {
		own = append(own, s.Key(t, u, servertest.M{"name": name}))
	}
	const path = "/settings/keys/revoke-all"
	v.get("/settings").says("Revoke all my keys")
	p := v.get(path).want(http.StatusOK).says("Revoke all your API keys?", "You have 3 active API keys.", "one", "two", "three", "never used")
	v.submit(p, path, "confirm", "revoke").want(http.StatusBadRequest).wrongAt("confirm", "Type the text exactly as it is shown.")
	for _, key := range own {
		s.Me(t, key.Plain).Want(t, http.StatusOK, "")
	}
	at := b.Clock.Now()
	done := v.submit(p, path, "confirm", "revoke all").wantTo("/settings?done=revoked-several")
	v.get(done.Header.Get("Location")).says("The keys are revoked. They stopped working at " + at.UTC().Format("2 Jan 2006, 15:04"))
	for _, key := range own {
		s.Me(t, key.Plain).Want(t, http.StatusUnauthorized, "invalid_token")
	}
	s.Me(t, bob.Plain).Want(t, http.StatusOK, "")
	v.get(path).wantTo("/settings?done=none-active")
}
