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

// rowsOf measures a list: the height of the page, of the tallest row, the width of the narrowest cell with a name, and how
// far the list stands out of the column of the page.
const rowsOf = `(() => {
	const all = (selector, measure) => [...document.querySelectorAll(selector)].map(e => e.getBoundingClientRect()[measure])
	return [document.documentElement.scrollHeight, Math.max(...all(".rows tbody tr", "height")), Math.min(...all(".rows .lead", "width")),
		all(".rows", "right")[0] - document.querySelector("h1").parentElement.getBoundingClientRect().right]
})()`

// A long list with the longest names has one line a row on a desk, in which the name has room, and two lines on a phone.
func TestRows(t *testing.T) {
	needChromium(t)
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), plainHTTP)
	ada := s.User(t, servertest.M{"email": "ada.lovelace@example.com", "name": "Ada Lovelace", "role": "operator"})
	visit(t, s).redeem(s.Invite(t, ada), secret)
	for i := range 60 {
		name := fmt.Sprintf("%02d %s", i, strings.Repeat("long name ", 10))[:99]
		key := s.Key(t, ada, servertest.M{"name": name, "scope": "read write mintkeep:keys mintkeep:admin"})
		if i > 50 {
			s.Me(t, key.Plain).Want(t, http.StatusOK, "")
		}
	}
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := &gallery{ada: ada, tab: openTab(t, s, desk)}
	g.signIn()
	for _, path := range []string{"/settings", "/operator/keys", "/operator/users"} {
		g.open(path)
		if *screenshots {
			g.inspect("rows" + strings.ReplaceAll(path, "/", "-"))
		}
		if got := asked[[]float64](g.tab, rowsOf); got[0] >= 3000 || got[1] > 44 || got[2] < 320 || got[3] > 0 {
			t.Errorf("%s on a desk: the page is %v px high, a row %v px, a name %v px wide; the list is %v px too wide", path, got[0], got[1], got[2], got[3])
		}
		for _, width := range []int64{360, 390, 800} {
			g.become(look{"narrow", width, 800, false, false})
			if got := asked[[]float64](g.tab, rowsOf); got[1] > 2*24+20 {
				t.Errorf("%s, %d px wide: a row is %v px high, which is more than two lines", path, width, got[1])
			}
			for _, e := range asked[[]string](g.tab, sideways) {
				t.Errorf("%s, %d px wide: has to be scrolled sideways for %s", path, width, e)
			}
		}
		g.become(desk)
	}
}

// Operators see users, clients and keys by email or name, with a link, and find events and keys by an email.
func TestNamesForIDs(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, op := chief(t, s)
	bob := s.User(t, servertest.M{"email": "bob@example.com"})
	gone := s.User(t, servertest.M{"email": "gone@example.com"})
	s.Key(t, gone, servertest.M{"name": "of the deleted user"})
	via := s.Key(t, op, servertest.M{"name": "automation", "scope": "read mintkeep:admin"})
	s.Key(t, bob, servertest.M{"name": "deploy"})
	s.API(t, http.MethodPost, "/admin/clients", via.Plain, servertest.M{"client_id": "billing", "client_name": "Billing service"}).
		Want(t, http.StatusCreated, "")
	s.Admin(t, http.MethodDelete, "/admin/users/"+gone.ID, nil).Want(t, http.StatusNoContent, "")

	links := func(p page, label, href, id string) {
		t.Helper()
		if !slices.ContainsFunc(p.all("a"), func(a *html.Node) bool {
			return text(a) == label && attribute(a, "href") == href && strings.HasSuffix(attribute(a, "title"), id)
		}) {
			t.Errorf("no link %q to %s: %.3000s", label, href, p.visible())
		}
	}
	log := v.get("/operator/audit?target=client:billing").want(http.StatusOK).says("client Billing service", "with key automation")
	links(log, op.Email, "/operator/users/"+op.ID, op.ID)
	links(log, "automation", "/operator/keys/"+via.ID, via.ID)
	links(log, "Billing service", "/operator/clients/billing", "billing")
	v.get("/operator/audit?target=user:"+gone.ID).says("user.deleted", "admin token", gone.ID+" deleted")
	for _, typed := range []string{"actor=op@example.com", "actor=user:OP@example.com", "actor=user:" + op.ID} {
		if p := v.get("/operator/audit?" + typed).says("client.created"); strings.Contains(p.visible(), "user.deleted") {
			t.Errorf("%s finds events of others", typed)
		}
	}
	v.get("/operator/audit?target=bob@example.com").says("user.created")
	v.get("/operator/audit?target=none@example.com").says("No event matches.")

	keys := v.get("/operator/keys?user=bob@example.com").want(http.StatusOK).says("deploy")
	if strings.Contains(keys.visible(), "automation") {
		t.Error("an email finds the keys of others")
	}
	links(keys, bob.Email, "/operator/users/"+bob.ID, bob.ID)
	if keys.value("user") != "bob@example.com" {
		t.Error("the filter is lost")
	}
	v.get("/operator/keys?user=none@example.com").says("No key matches.")
	v.get("/operator/keys?state=all&q=of+the").says(gone.ID + " deleted")
}

// A new installation says how its first user is created, until there is one.
func TestFirstOperator(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		v := visit(t, s)
		const command = `mintkeep user create \ --email you@example.com \ --role operator`
		v.get("/login").want(http.StatusOK).says("No user exists yet.", "MINTKEEP_URL="+servertest.Issuer, "MINTKEEP_ADMIN_TOKEN", command)
		s.User(t, servertest.M{"email": "op@example.com", "role": "operator"})
		if p := v.get("/login"); strings.Contains(p.visible(), command) {
			t.Error("the command stays when there is a user")
		}
	})
}

// A new key has the least scope, unless its user selects more.
func TestLeastScope(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), "MINTKEEP_KEY_SCOPES=write read")
	v, _ := newcomer(t, s, "ada@example.com")
	if got := v.get("/settings/keys/new").form("/settings/keys")["scope"]; !slices.Equal(got, []string{"read"}) {
		t.Errorf("the page selects %q, want read", got)
	}
	form := v.get("/settings/keys/new").form("/settings/keys")
	form.Set("name", "none")
	form.Del("scope")
	p := v.post("/settings/keys", form).want(http.StatusBadRequest).says("Scopes must not be empty; select at least one.")
	if p.value("name") != "none" || len(p.form("/settings/keys")["scope"]) != 0 {
		t.Error("what was typed is lost")
	}
}
