package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// The page of an error keeps the navigation of a user who is signed in.
func TestErrorPagesKeepTheNavigation(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := newcomer(t, s, "ada@example.com")
	lost := v.get("/settings/keys/none").want(http.StatusNotFound).says("Not Found", "ada@example.com", "Sign out")
	if lost.form("/logout").Get("form_token") == "" {
		t.Error("the user cannot sign out")
	}
	v.get("/operator/clients").want(http.StatusForbidden).says("This page is for operators", "your account has the role developer", "ada@example.com")
	if p := visit(t, s).get("/invite/none").want(http.StatusNotFound); strings.Contains(p.visible(), "Sign out") {
		t.Errorf("a page for no user has a navigation: %s", p.visible())
	}
}

// A notice names what was changed.
func TestNoticesNameTheThing(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	bob := s.User(t, servertest.M{"email": "bob@example.com"})
	s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing <b>"})
	client, user := "/operator/clients/billing", "/operator/users/"+bob.ID
	for _, tt := range []struct{ at, action, asked, done, says string }{
		{client, client + "/disable", client + "/disable", "client-disabled", "The client Billing <b> is disabled."},
		{client, client + "/enable", client, "client-enabled", "The client Billing <b> is enabled."},
		{user, user + "/disable", user + "/disable", "user-disabled", "The user bob@example.com is disabled."},
		{user, user + "/enable", user, "user-enabled", "The user bob@example.com is enabled."},
		{user, user + "/promote", user + "/promote", "role-changed", "The role of bob@example.com is changed."},
	} {
		v.submit(v.get(tt.asked), tt.action).wantTo(tt.at + "?done=" + tt.done)
		v.get(tt.at + "?done=" + tt.done).says(tt.says)
	}
}

// A rejected request that names a client is shown with its name and a link, one that names another id as it is.
func TestRejectionsNameTheClient(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing service"})
	for _, id := range []string{"billing", "none"} {
		s.Post(t, "/oauth/token", "grant_type=client_credentials", servertest.Client{ID: id, Secret: "wrong"}.Basic())
	}
	log := v.get("/operator/audit?which=refusals").says("Billing service", "none")
	if firstLink(log, "/operator/clients/billing") != "Billing service" {
		t.Errorf("the client is not linked: %s", log.visible())
	}
	if firstLink(log, "/operator/clients/none") != "" || strings.Contains(log.visible(), "deleted") {
		t.Errorf("an id that never was a client's is shown as a client: %s", log.visible())
	}
}

// Another user's name stays out of what an owner reads about a key.
func TestOwnersDoNotSeeWhichOperator(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	boss, _ := chief(t, s)
	v, _ := newcomer(t, s, "ada@example.com")
	_, key := v.makeKey("deploy")
	at := "/operator/keys/" + strings.TrimPrefix(key, "/settings/keys/")
	boss.submit(boss.get(at+"/revoke"), at+"/revoke", "reason", "seen in public").wantTo(at + "?done=revoked")
	if p := v.get(key).says("Revoked: seen in public by an operator"); strings.Contains(p.visible(), "op@example.com") {
		t.Errorf("the owner reads which operator: %s", p.visible())
	}
	boss.get(at).says("Revoked: seen in public by you")
}

// A key that is inactive cannot be revoked: no question, and no reason that would be dropped.
func TestInactiveKeyIsNotRevokedAgain(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := newcomer(t, s, "ada@example.com")
	_, key := v.makeKey("deploy")
	asked := v.get(key + "/revoke")
	v.submit(asked, key+"/revoke", "reason", "first").wantTo("/settings?done=revoked")
	v.get(key + "/revoke").wantTo(key + "?done=inactive")
	v.submit(asked, key+"/revoke", "reason", "second").wantTo(key + "?done=inactive")
	if p := v.get(key+"?done=inactive").says("Nothing is changed.", "Revoked: first"); strings.Contains(p.visible(), "second") {
		t.Errorf("the reason is another: %s", p.visible())
	}
}

// A name of more than 20 characters is not typed: the end of the key is.
func TestLongNameIsNotTyped(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	v := visit(t, s).redeem(s.Invite(t, u), secret)
	name := strings.Repeat("long ", 20)[:99]
	key := s.Key(t, u, servertest.M{"name": name})
	s.Me(t, key.Plain).Want(t, http.StatusOK, "")
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := "/settings/keys/" + key.ID + "/revoke"
	end := key.Plain[len(key.Plain)-4:]
	asked := v.get(path).says("type the last four characters of the key: " + end)
	v.submit(asked, path, "confirm", name).want(http.StatusBadRequest).wrongAt("confirm", "Type the last four characters of the key exactly as it is shown.")
	v.submit(asked, path, "confirm", end).wantTo("/settings?done=revoked")
}

// A record that cannot be read is called so, and not deleted; it does not keep the others from being listed.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, _ := chief(t, s)
	ada := s.User(t, servertest.M{"email": "ada@example.com"})
	s.Key(t, ada, servertest.M{"name": "deploy"})
	s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing", "scope": "read"})
	s.Register(t, servertest.M{"client_id": "reports", "client_name": "Reports", "scope": "read"})
	b.Do("HSET", "mk:c:billing", "meta", `2{"name":"x"}`)
	b.Do("HSET", "mk:p:"+ada.ID, "meta", `2{"email":"x"}`)

	list := v.get("/operator/clients").want(http.StatusOK).says("Reports", "billing", "Unreadable")
	if strings.Contains(list.visible(), "billing Active") {
		t.Errorf("the client is listed as active: %s", list.visible())
	}
	v.get("/operator/clients?q=bill").says("billing")
	log := v.get("/operator/audit?target=client:billing").says("billing unreadable")
	if strings.Contains(log.visible(), "deleted") {
		t.Errorf("the client is called deleted: %s", log.visible())
	}
	v.get("/operator/keys").says(ada.ID + " unreadable")
	s.Admin(t, http.MethodGet, "/admin/clients", nil).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
}

// What is shown once has a label that can be seen.
func TestSecretsHaveALabel(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	bob := s.User(t, servertest.M{"email": "bob@example.com"})
	user := "/operator/users/" + bob.ID
	for want, p := range map[string]page{
		"API key":       v.submit(v.get("/settings/keys/new"), "/settings/keys", "name", "one"),
		"Client secret": v.submit(v.get("/operator/register-client"), "/operator/clients", "client_id", "billing"),
		"Password link": v.submit(v.get(user), user+"/invite"),
	} {
		plain := p.want(http.StatusOK).value("secret")
		s.Secret(plain[max(0, len(plain)-26):])
		for _, n := range p.all("label") {
			if attribute(n, "for") == "secret" && (text(n) != want || attribute(n, "class") != "") {
				t.Errorf("the label is %q, of the class %q; want %q", text(n), attribute(n, "class"), want)
			}
		}
	}
}

// A session is shown with its browser in a few words, and with the whole of what that calls itself in the tooltip.
func TestSessionsNameTheBrowser(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, u := newcomer(t, s, "ada@example.com")
	const windows, mac = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
	for agent, want := range map[string]string{
		windows + " AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0":                                         "Edge on Windows",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":                                  "Chrome on Linux",
		mac + " AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15":                                                           "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (Android 15; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0":                                                                   "Firefox on Android",
		"curl/8.5.0": "curl/8.5.0",
	} {
		other := visit(t, s)
		form := other.get("/login").form("/login")
		form.Set("email", u.Email)
		form.Set("password", secret)
		other.post("/login", form, servertest.Header("User-Agent", agent)).wantTo("/settings")
		found := false
		for _, n := range v.get("/settings/profile").all("span") {
			found = found || text(n) == want && attribute(n, "title") == agent
		}
		if !found {
			t.Errorf("no session of %q", want)
		}
	}
}
