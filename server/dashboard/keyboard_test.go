package dashboard_test

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// reachable are the elements that the keyboard has to reach, in their order on the page. Of a group of radio
// buttons it is the chosen one.
const reachable = `[...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
	.filter(e => !e.disabled && !e.hidden && !e.closest("details:not([open]) > :not(summary)") && e.type !== "hidden" && e.tabIndex >= 0 && (e.type !== "radio" || e.checked))
	.map(` + named + `)`

// focused is the element that has the focus, if it can be seen: by an outline, in the window.
const focused = `(() => {
	const e = document.activeElement, box = e.getBoundingClientRect(), style = getComputedStyle(e)
	if (e === document.body) return "nothing"
	if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return "without an outline: " + (` + named + `)(e)
	if (box.left < 0 || box.top < 0 || box.right > innerWidth || box.width < 2) return "out of the window: " + (` + named + `)(e)
	return (` + named + `)(e)
})()`

const named = `e => e.tagName + " " + (e.id || e.getAttribute("href") || e.value || e.textContent).trim()`

// TestKeyboard goes through pages by the Tab key alone.
func TestKeyboard(t *testing.T) {
	needChromium(t)
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), plainHTTP)
	u := s.User(t, servertest.M{"email": "ada@example.com", "role": "operator"})
	visit(t, s).redeem(s.Invite(t, u), secret)
	key := s.Key(t, u, servertest.M{"name": "one"})
	s.Register(t, servertest.M{"client_id": "billing"})
	b := openTab(t, s, desk)
	press := func(key string) {
		t.Helper()
		run(b, chromedp.KeyEvent(key))
	}

	b.open("/login")
	run(b, chromedp.SendKeys(chromedp.CSS("#email"), u.Email+kb.Tab+secret))
	if _, err := chromedp.RunResponse(b.ctx, chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	b.says("API keys")
	for _, path := range []string{
		"/settings", "/settings/keys/new", "/settings/keys/" + key.ID, "/settings/keys/" + key.ID + "/revoke", "/settings/profile",
		"/operator", "/operator/register-client", "/operator/clients/billing", "/operator/audit",
	} {
		b.open(path)
		b.settle()
		want := asked[[]string](b, reachable)
		// From the top, wherever the focus has been set.
		asked[bool](b, `(document.activeElement.blur(), document.body.tabIndex = -1, document.body.focus(), true)`)
		var got []string
		for range want {
			press(kb.Tab)
			at := asked[string](b, focused)
			for asked[bool](b, `document.activeElement === window.before && before.type === "datetime-local"`) { // within its parts
				press(kb.Tab)
				at = asked[string](b, focused)
			}
			asked[bool](b, `(window.before = document.activeElement, true)`)
			got = append(got, at)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the Tab key leads to\n%q, want\n%q", path, got, want)
		}
	}

	b.open("/settings")
	press(kb.Tab)
	if got := asked[string](b, focused); got != "A #main" {
		t.Errorf("the Tab key leads first to %q", got)
	}
	press(kb.Enter)
	if got := asked[string](b, "document.activeElement.id"); got != "main" {
		t.Errorf("the skip link leads to %q", got)
	}
	press(kb.Tab)
	if got := asked[string](b, focused); got != "A /settings/keys/new" {
		t.Errorf("and then the Tab key to %q", got)
	}
}
