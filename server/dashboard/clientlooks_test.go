package dashboard_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// clients are the pages of clients and the overview, with 30 clients and what they did in an hour.
func (g *gallery) clients() {
	g.t.Helper()
	g.busyHour()
	g.signIn()
	g.look("operator", "/operator")
	g.look("operator-day", "/operator?range=day")
	g.press("main a[href='/operator/signing-keys/rotate']")
	g.inspect("signing-keys-rotate")
	g.look("clients", "/operator/clients")
	g.look("client-new", "/operator/register-client")
	g.fill("#client_id", "two words")
	g.press("main button[type=submit]")
	g.inspect("client-new-refused")
	g.fill("#client_id", "reporting")
	g.press("main button[type=submit]")
	g.s.Secret(g.value("#secret"))
	g.inspect("client-made")
	g.press("[data-saved]")
	g.look("client", "/operator/clients/billing")
	g.look("client-day", "/operator/clients/billing?range=day")
	g.fill("#access_token_ttl", "15 minutes")
	g.press("form[action$=billing] button")
	g.inspect("client-problem")
	g.open("/operator/clients/billing")
	g.press("main a[href$='/revoke']")
	g.inspect("secret-revoke")
	g.open("/operator/clients/billing")
	g.press("form[action$=secrets] button")
	g.s.Secret(g.value("#secret"))
	g.press("[data-saved]")
	g.look("client-rotated", "/operator/clients/billing")
	g.press("main a[href$='/delete']")
	g.inspect("client-delete")
	g.open("/operator/clients/billing")
	g.press("main a[href$='/disable']")
	g.inspect("client-disable")
	g.press("main button.dangerous")
	g.inspect("client-disabled")
	g.clientKeys()
}

// clientKeys are the pages of a client's public keys.
func (g *gallery) clientKeys() {
	g.t.Helper()
	first, second := newPasted(g.t, ""), newPasted(g.t, "payments, from February 2026 on")
	var keys []json.RawMessage
	for _, key := range []pasted{first, second} {
		keys = append(keys, json.RawMessage(key.jwk))
	}
	g.s.Register(g.t, servertest.M{"client_id": "payments", "client_name": "Payments", "scope": "read", "jwks": servertest.M{"keys": keys}})
	reports := servertest.M{"client_id": "reports", "scope": "read", "jwks_uri": "https://reports.example.com/" + strings.Repeat("path/", 20) + "keys.json"}
	g.s.Admin(g.t, http.MethodPost, "/admin/clients?check=false", reports).Want(g.t, http.StatusCreated, "")
	g.s.Store.RecordClientKeyUse("payments", second.thumbprint)
	g.s.Store.RecordClientKeyUse("reports", first.thumbprint)
	if err := g.s.Store.Flush(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	g.clock.Advance(3 * time.Minute)
	g.look("client-keys", "/operator/clients/payments")
	g.press("main td a[href$='/" + second.thumbprint + "/remove']")
	g.inspect("client-key-remove")
	g.look("client-key-set", "/operator/clients/reports")
	g.look("client-keys-change", "/operator/clients/payments/keys")
	g.fill("#jwks", "ssh-ed25519 AAAA")
	g.press("main button[type=submit]")
	g.inspect("client-keys-problem")
}

// busyHour registers clients, one with a name as long as it may be, and has them request some thousand tokens.
func (g *gallery) busyHour() {
	g.t.Helper()
	ids := []string{"billing"}
	for i := range 29 {
		id, name := fmt.Sprintf("service-%02d", i), fmt.Sprintf("Service number %d of the platform", i)
		switch i {
		case 3:
			name = strings.Repeat("a service with a long name, ", 7)
		case 4:
			name = strings.Repeat("unbroken", 12)
		case 5:
			name = ""
		}
		g.s.Register(g.t, servertest.M{"client_id": id, "client_name": name, "scope": "read write reports:export"})
		ids = append(ids, id)
	}
	s := g.s.Store
	for minute := range 60 {
		wave := 1 + math.Sin(float64(minute)/9)
		for i, id := range ids {
			for range int(wave * float64(30-i) / 8) {
				s.CountIssued(id)
				s.Count(store.Introspections)
			}
			switch {
			case i < 2 && minute%7 == 3:
				for range 6 - i {
					s.CountRejected(id, "invalid_client", "wrong secret")
				}
			case i < 9 && minute%20 == i:
				s.CountRejected(id, "invalid_scope", "")
			}
		}
		s.Count(store.KeyUses)
		if err := s.Flush(g.t.Context()); err != nil {
			g.t.Fatal(err)
		}
		g.clock.Advance(time.Minute)
	}
}

// forward has the clock of the page go forward by half a minute, and a bit.
const forward = `(now => { Date.now = () => now() + 31000; return true })(Date.now)`

// A page keeps its charts and lists up to date, unless its tab is hidden. Times are those of the reader's zone, with UTC
// in the tooltip.
func TestLive(t *testing.T) {
	needChromium(t)
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), plainHTTP)
	u := s.User(t, servertest.M{"email": "op@example.com", "role": "operator"})
	visit(t, s).redeem(s.Invite(t, u), secret)
	c := s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing", "scope": "read"})
	b := openTab(t, s, desk)
	b.open("/login")
	b.fill("#email", u.Email)
	b.fill("#password", secret)
	b.press("main button")
	issue := func() {
		t.Helper()
		s.Token(t, c)
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for path, says := range map[string]string{
		"/operator": "Billing %[1]d 0", "/operator/clients/billing": "issued: total %[1]d · peak",
	} {
		minutes, err := s.Store.ClientHour(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		tokens := 0
		for _, m := range minutes {
			tokens += int(m.Issued)
		}
		b.open(path)
		b.says("Updated")
		clocks := asked[[]string](b, `[...document.querySelectorAll("#requests-times time")].map(t => t.textContent + "|" + t.title)`)
		if len(clocks) != 4 || strings.Contains(strings.Split(clocks[0], "|")[0], "UTC") || !strings.HasSuffix(clocks[0], " UTC") {
			t.Errorf("%s: the times of the axis are %q", path, clocks)
		}
		tip := asked[string](b, `document.querySelector("#requests .hit title").textContent`)
		if !strings.Contains(tip, " UTC): ") {
			t.Errorf("%s: a tooltip is %q", path, tip)
		}

		// A hidden tab stays as it is: the second tick of our own comes after one of the page.
		issue()
		asked[bool](b, `Object.defineProperty(document, "hidden", {value: true, configurable: true}), true`)
		asked[bool](b, forward)
		run(b, chromedp.Evaluate[bool](`new Promise(done => { let n = 0; const i = setInterval(() => { if (++n > 1) { clearInterval(i); done(true) } }, 1000) })`,
			chromedp.EvalAwaitPromise))
		if text := strings.Join(strings.Fields(b.visible()), " "); strings.Contains(text, fmt.Sprintf(says, tokens+1)) {
			t.Errorf("%s: a hidden tab was refreshed: %s", path, text)
		}
		asked[bool](b, `Object.defineProperty(document, "hidden", {value: false, configurable: true}), true`)
		b.becomes(fmt.Sprintf(says, tokens+1))
		b.says("Updated")
		if strings.Contains(b.visible(), "failed") {
			t.Errorf("%s: %s", path, b.visible())
		}
	}

	// A session that was revoked: the page says that it is not up to date any more.
	b.open("/operator")
	if err := s.Store.RevokeSessions(t.Context(), u.ID, store.Cause{}); err != nil {
		t.Fatal(err)
	}
	asked[bool](b, forward)
	b.becomes("the last refresh failed")
}

// becomes waits until the page says something.
func (b *tab) becomes(words string) {
	b.t.Helper()
	script := fmt.Sprintf(`new Promise(done => { const look = () => {
		if (document.body.innerText.replace(/\s+/g, " ").includes(%q)) done(true); else requestAnimationFrame(look) }; look() })`, words)
	run(b, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
}
