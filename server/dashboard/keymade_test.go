package dashboard_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// leaves is whether the page lets its reader leave without a question.
const leaves = `dispatchEvent(new Event("beforeunload", {cancelable: true}))`

// TestNewKeyPage is the page that shows a key, once: masked, copied with and without the clipboard API, and tried.
func TestNewKeyPage(t *testing.T) {
	needChromium(t)
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), plainHTTP)
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	visit(t, s).redeem(s.Invite(t, u), secret)
	b := openTab(t, s, desk)
	b.open("/login")
	b.fill("#email", u.Email)
	b.fill("#password", secret)
	b.press("main button")
	click := func(selector string) {
		t.Helper()
		run(b, chromedp.Click(chromedp.CSS(selector)))
	}
	waitFor := func(script string) {
		t.Helper()
		run(b, chromedp.Poll[bool](script))
	}

	b.open("/settings/keys/new")
	b.fill("#name", "one")
	b.press("main button[type=submit]")
	plain := b.value("#secret")
	s.Secret(plain)
	b.settle()
	if got := asked[string](b, "document.activeElement.textContent"); got != "Your new API key" {
		t.Errorf("the focus is on %q", got)
	}
	const shown = `getComputedStyle(document.querySelector("#secret")).webkitTextSecurity`
	if got := asked[string](b, shown); got != "disc" {
		t.Errorf("the key is masked by %q", got)
	}
	click("[data-reveals]")
	if got := asked[string](b, shown); got != "none" {
		t.Errorf("the key that was revealed is masked by %q", got)
	}
	b.says("Hide")
	if asked[bool](b, leaves) {
		t.Error("the page lets go of a key that was not copied")
	}
	b.live = true // it is tried
	click("[data-tests]")
	waitFor(`/^[0-9]/.test(document.querySelector("#tested").textContent)`)
	b.says("200: the key works, and acts for ada@example.com.")
	b.live = false

	// Without the clipboard API, as over plain http.
	asked[bool](b, `(Object.defineProperty(navigator, "clipboard", {value: undefined}), true)`)
	asked[bool](b, `(window.heard = [], new MutationObserver(() => heard.push(said.textContent)).observe(said, {childList: true}), true)`)
	asked[bool](b, `(window.taken = "", document.addEventListener("copy", () => { taken = document.activeElement.value }), true)`)
	click("[data-copies=curl]")
	waitFor(`taken !== ""`)
	if got := asked[string](b, "taken"); !strings.Contains(got, `Bearer $API_KEY`) || strings.Contains(got, plain) {
		t.Errorf("the command is %q", got)
	}
	if asked[bool](b, leaves) {
		t.Error("the page lets go of the key once the command was copied")
	}
	click("[data-copies=secret]")
	waitFor("taken.startsWith('mk_')")
	if got := asked[string](b, "taken"); got != plain {
		t.Error("the key is not what was copied")
	}
	waitFor(`heard.filter(words => words === "Copied").length === 2`) // announced to screen readers
	waitFor(`document.querySelector("[data-copies=secret]").textContent === "Copy"`)
	if !asked[bool](b, leaves) {
		t.Error("the page asks before it lets go of a key that was copied")
	}
	b.press("[data-saved]")
	if got := asked[string](b, `document.querySelector("tr.new").innerText`); !strings.Contains(got, "one") || !strings.Contains(got, "new") {
		t.Errorf("the new row is %q", got)
	}
}

// TestNewKeyPageWithoutScript has nothing that only a script can do.
func TestNewKeyPageWithoutScript(t *testing.T) {
	needChromium(t)
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), plainHTTP)
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	visit(t, s).redeem(s.Invite(t, u), secret)
	b := openTab(t, s, look{"bare", 1280, 900, false, true})
	b.open("/login")
	b.fill("#email", u.Email)
	b.fill("#password", secret)
	b.press("main button")
	b.open("/settings/keys/new")
	b.fill("#name", "one")
	b.press("main button[type=submit]")
	s.Secret(b.value("#secret"))
	if text := b.visible(); strings.Contains(text, "Copy") || strings.Contains(text, "Reveal") || strings.Contains(text, "Test this key") {
		t.Errorf("the page has buttons that do nothing:\n%s", text)
	}
	if got := asked[string](b, `getComputedStyle(document.querySelector("#secret")).webkitTextSecurity`); got != "none" {
		t.Errorf("the key is masked by %q, and nothing reveals it", got)
	}
}
