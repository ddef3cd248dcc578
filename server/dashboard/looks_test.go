package dashboard_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

var (
	everyLook   = flag.Bool("every-look", false, "have axe look at every page in the dark and on a phone too, as .ci/run does")
	screenshots = flag.Bool("screenshots", false, "leave a picture of every page, in every look, in testdata/screenshots; it implies -every-look")
)

// looks are how every page is looked at, each with the rules of axe that may come out otherwise than in the first. Without
// -every-look there is only the first. The dark has other colours and the same sizes, so in the dark a phone shows nothing that
// no other look has: it is for the pictures.
var looks = []struct {
	look
	rules string
}{
	{look{"desk-light", 1280, 900, false, false}, allRules},
	{look{"desk-dark", 1280, 900, true, false}, colorRules},
	{look{"phone-light", 390, 844, false, false}, roomRules},
	{look{"phone-dark", 390, 844, true, false}, ""},
}

// TestLooks opens every page: axe finds nothing wrong with it, on a desk, and with -every-look in the dark and on a phone too.
// Nothing has to be scrolled sideways, not on a phone either.
func TestLooks(t *testing.T) {
	needChromium(t)
	t.Parallel()
	t.Run("outside", func(t *testing.T) {
		t.Parallel()
		newGallery(t).outside()
	})
	t.Run("first", func(t *testing.T) {
		t.Parallel()
		g := &gallery{tab: openTab(t, servertest.New(t, storetest.Embedded(t), plainHTTP), desk)}
		g.look("login-first", "/login")
	})
	t.Run("inside", func(t *testing.T) {
		t.Parallel()
		newGallery(t).inside()
	})
	t.Run("operator", func(t *testing.T) {
		t.Parallel()
		newGallery(t).operator()
	})
	t.Run("clients", func(t *testing.T) {
		t.Parallel()
		newGallery(t).clients()
	})
}

// gallery is a tab in front of a server that has something on every page.
type gallery struct {
	*tab
	clock       *storetest.Clock
	ada, bob    servertest.User // an operator with many keys, a developer with none
	used, fresh servertest.Key
}

func newGallery(t *testing.T) *gallery {
	t.Helper()
	back := storetest.Embedded(t)
	s := servertest.New(t, back, plainHTTP)
	g := &gallery{clock: back.Clock}
	g.ada = s.User(t, servertest.M{"email": "ada.lovelace@example.com", "name": "Ada Lovelace", "role": "operator"})
	g.bob = s.User(t, servertest.M{"email": "bob@example.com"})
	visit(t, s).redeem(s.Invite(t, g.ada), secret)

	s.Key(t, g.ada, servertest.M{"name": "never used, never expires", "scope": "read"})
	s.Key(t, g.ada, servertest.M{"name": "a key with so long a name that it cannot stand on one line of any telephone that was ever made", "scope": "read write"})
	s.Key(t, g.ada, servertest.M{"name": strings.Repeat("unbroken", 12), "expires_at": back.Clock.Now().Add(49 * time.Hour).Format(time.RFC3339)})
	g.fresh = s.Key(t, g.ada, servertest.M{"name": "deploy script on build-3", "scope": "read"})
	g.used = s.Key(t, g.ada, servertest.M{"name": "nightly backup", "scope": "read"})
	ended := s.Key(t, g.ada, servertest.M{"name": "leaked in a log"})
	for day := range 9 {
		for range 1 + day*day%7 {
			s.Me(t, g.used.Plain).Want(t, http.StatusOK, "")
		}
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		back.Clock.Advance(time.Hour)
	}
	s.Admin(t, http.MethodDelete, "/admin/keys/"+ended.ID+"?reason=found+in+a+public+repository", nil).Want(t, http.StatusNoContent, "")
	s.Me(t, ended.Plain).Want(t, http.StatusUnauthorized, "invalid_token")
	leaked := s.Key(t, g.ada, servertest.M{"name": "in a build log"})
	s.Admin(t, http.MethodPost, "/admin/keys/report", servertest.M{"credentials": []string{leaked.Plain}}).Want(t, http.StatusOK, "")
	c := s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing service", "scope": "read write"})
	for range 3 {
		s.Token(t, c)
	}
	s.Post(t, "/oauth/token", "grant_type=client_credentials", servertest.Client{ID: "billing", Secret: "wrong"}.Basic())
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.tab = openTab(t, s, desk)
	return g
}

// outside are the pages without a session.
func (g *gallery) outside() {
	g.t.Helper()
	link := g.s.Invite(g.t, g.bob)
	link = link[strings.Index(link, "/invite/"):]
	g.look("login", "/login")
	g.fill("#email", "nobody@example.com")
	g.fill("#password", "a wrong password")
	g.press("main button")
	g.inspect("login-refused")
	g.look("invite", link)
	g.fill("#password", "password1234")
	g.fill("#again", "password1234")
	g.press("main button")
	g.inspect("invite-refused")
	g.look("invite-used", link[:len(link)-1]+"a")
}

// inside are those of a developer.
func (g *gallery) inside() {
	g.t.Helper()
	link := g.s.Invite(g.t, g.bob)
	g.open(link[strings.Index(link, "/invite/"):])
	g.fill("#password", secret)
	g.fill("#again", secret)
	g.press("main button")
	g.inspect("settings-empty")
	g.press(".who button")
	g.inspect("signed-out")

	g.signIn()
	g.inspect("settings")
	g.look("settings-none", "/settings?q=nothing")
	g.look("key-used", "/settings/keys/"+g.used.ID)
	g.look("key-revoke", "/settings/keys/"+g.used.ID+"/revoke")
	g.look("key-edit", "/settings/keys/"+g.used.ID+"/edit")
	g.fill("#name", " ")
	g.press("main button[type=submit]")
	g.inspect("key-edit-rejected")
	g.look("key-disable", "/settings/keys/"+g.used.ID+"/disable")
	g.look("keys-revoke", "/settings/keys/revoke?id="+g.used.ID+"&id="+g.fresh.ID)
	g.look("keys-revoke-all", "/settings/keys/revoke-all")
	g.look("key-new", "/settings/keys/new")
	g.fill("#name", strings.Repeat(" ", 5))
	g.press("main button[type=submit]")
	g.inspect("key-new-refused")
	g.fill("#name", "a new one")
	g.press("main button[type=submit]")
	g.s.Secret(g.value("#secret"))
	g.inspect("key-made")
	g.press("[data-saved]")
	g.look("key", "/settings/keys/"+g.fresh.ID)
	g.press("form[action$=rotate] button")
	g.s.Secret(g.value("#secret"))
	g.inspect("key-rotated-made")
	g.press("[data-saved]")
	g.look("key-rotated", "/settings/keys/"+g.fresh.ID)
	g.open("/settings/keys/" + g.fresh.ID + "/disable")
	g.press("button.dangerous")
	g.inspect("key-disabled")
	g.look("settings-all", "/settings?state=all&sort=status")
	g.look("settings-ended", "/settings?state=inactive")
	g.press("main td a")
	g.inspect("key-ended")
	g.look("profile", "/settings/profile")
	g.look("not-found", "/settings/keys/none")
	g.look("docs", "/docs")
}

// operator are those of an operator.
func (g *gallery) operator() {
	g.t.Helper()
	g.signIn()
	g.look("people", "/operator/users")
	g.fill("#email", g.bob.Email)
	g.press("form[method=post][action$=users] button")
	g.inspect("people-refused")
	g.fill("#email", "carol@example.com")
	g.press("form[method=post][action$=users] button")
	link := g.value("#secret")
	g.s.Secret(link[len(link)-26:])
	g.inspect("person-invited")
	g.press("[data-saved]")
	g.look("person", "/operator/users/"+g.bob.ID)
	g.look("person-self", "/operator/users/"+g.ada.ID)
	g.look("operator-keys", "/operator/keys?state=all")
	g.look("operator-key", "/operator/keys/"+g.used.ID)
	g.look("operator-key-revoke", "/operator/keys/"+g.used.ID+"/revoke")
	g.look("guards-none", "/operator/guards")
	g.guards()
	g.look("guards", "/operator/guards")
	g.look("guards-late", "/operator/guards?state=late")
	g.look("audit", "/operator/audit")
	g.look("audit-rejections", "/operator/audit?which=refusals")
	g.look("user-disable", "/operator/users/"+g.bob.ID+"/disable")
	g.look("user-delete", "/operator/users/"+g.bob.ID+"/delete")
	g.fill("#confirm", "another")
	g.press("button.dangerous")
	g.inspect("user-delete-rejected")
}

// guards poll once each: some have stopped then, and some say little of themselves.
func (g *gallery) guards() {
	g.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); g.s.Store.Run(ctx) }()
	defer func() { stop(); <-ran }()
	client := g.s.Register(g.t, servertest.M{"client_id": "orders", "client_name": "Orders", "scope": "mintkeep:introspect"})
	poll := func(members servertest.M) {
		members["nonce"], members["wait"] = "k3J9xQ2mZr0a", 0
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			if g.s.Admin(g.t, http.MethodPost, "/oauth/changes", members, client.Basic()).Status == http.StatusOK {
				return
			}
		}
		g.t.Fatal("no poll is answered")
	}
	poll(servertest.M{"instance": "orders-7d9f6b5c4d-x2x7q/stopped", "lease": 1000, "entries": 812, "version": "0.1.0"})
	poll(servertest.M{})
	g.clock.Advance(5 * time.Second)
	for i := range 3 {
		name := fmt.Sprintf("orders-7d9f6b5c4d-x2x7q/%d", i)
		poll(servertest.M{"instance": name, "lease": 1000, "entries": 99_812, "version": "0.1.0", "served": 0})
	}
	poll(servertest.M{"instance": strings.Repeat("unbroken", 16), "lease": 10_000, "entries": 3, "version": "0.1.0-rc.1+0123456789abcdef"})
}

func (g *gallery) signIn() {
	g.t.Helper()
	g.open("/login")
	g.fill("#email", g.ada.Email)
	g.fill("#password", secret)
	g.press("main button")
}

// look opens a page and inspects it.
func (g *gallery) look(name, path string) {
	g.t.Helper()
	g.open(path)
	g.inspect(name)
}

// violations asks axe about rules, and is one line for each of what it finds.
const violations = `axe.run(document, {runOnly: %s, resultTypes: ["violations"], preload: false}).then(r =>
	r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target + ": " + n.failureSummary)))`

const (
	allRules   = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	colorRules = `["color-contrast", "link-in-text-block"]`       //nolint:misspell // names of axe
	roomRules  = `["target-size", "scrollable-region-focusable"]` // what depends on the room that there is
)

// sideways are the elements that stand out of the window. A phone's innerWidth grows with what stands out of it.
const sideways = `(width => document.documentElement.scrollWidth <= width ? [] : [...document.querySelectorAll("body *")]
	.filter(e => e.getBoundingClientRect().right > width).map(e => e.outerHTML.slice(0, 120)))(document.documentElement.clientWidth)`

func (g *gallery) inspect(name string) {
	g.t.Helper()
	run(g.tab, chromedp.Evaluate[any](axe))
	for _, l := range looks {
		if left := l.rules == "" || l != looks[0] && !*everyLook; left && !*screenshots {
			continue
		}
		g.become(l.look)
		if *screenshots {
			g.shoot(name + "-" + l.Name)
		}
		if l.rules == "" {
			continue
		}
		for _, e := range asked[[]string](g.tab, sideways) {
			g.t.Errorf("%s, %s: has to be scrolled sideways for %s", name, l.Name, e)
		}
		script := fmt.Sprintf(violations, l.rules)
		for _, v := range run(g.tab, chromedp.Evaluate[[]string](script, chromedp.EvalAwaitPromise)) {
			g.t.Errorf("%s, %s: %s", name, l.Name, v)
		}
	}
	g.become(look{"small", 360, 800, false, false})
	for _, e := range asked[[]string](g.tab, sideways) {
		g.t.Errorf("%s, 360 px wide: has to be scrolled sideways for %s", name, e)
	}
	g.become(desk)
}

func (g *gallery) shoot(name string) {
	g.t.Helper()
	folder := filepath.Join("testdata", "screenshots")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), run(g.tab, chromedp.FullScreenshot(100)), 0o644); err != nil {
		g.t.Fatal(err)
	}
}

var axe = func() string {
	script, err := os.ReadFile(filepath.Join("testdata", "axe.min.js"))
	if err != nil {
		panic(err)
	}
	return string(script) + "; 0"
}()
