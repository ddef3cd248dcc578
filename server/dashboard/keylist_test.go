package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// keyNames are the names of the keys in a list, in their order.
func (p page) keyNames() (names []string) {
	for _, a := range p.all("a") {
		if id := attribute(a, "id"); len(id) > 1 && id[0] == 'k' {
			names = append(names, text(a))
		}
	}
	return names
}

// link is where the link with these words leads to; empty if there is none.
func (p page) link(words string) string {
	for _, a := range p.all("a") {
		if text(a) == words {
			return attribute(a, "href")
		}
	}
	return ""
}

// TestList is a user's list of many keys, whose names are as long as names get.
func TestList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		v, u := newcomer(t, s, "ada@example.com")
		for i := range 60 {
			s.Key(t, u, servertest.M{"name": fmt.Sprintf("%02d", i) + strings.Repeat(`"`, 98), "scope": "read write"})
			b.Clock.Advance(time.Second)
		}
		first := v.get("/settings").want(http.StatusOK).says("60 keys · page 1 of 2")
		second := v.get(first.link("Next page")).want(http.StatusOK).says("60 keys · page 2 of 2")
		if n, m := len(first.keyNames()), len(second.keyNames()); n != 50 || m != 10 || second.link("Next page") != "" {
			t.Errorf("the pages have %d and %d keys, want 50 and 10", n, m)
		}
		t.Logf("50 keys weigh %d bytes", len(first.Body))
		second.says("00", "09")
		for _, to := range []string{first.link("Last page"), "/settings?page=3"} { // and one that was there before keys were revoked
			if got := v.get(to).keyNames(); !slices.Equal(got, second.keyNames()) {
				t.Errorf("%s has %q", to, got)
			}
		}
		if got := v.get(second.link("Previous page")).keyNames(); !slices.Equal(got, first.keyNames()) {
			t.Errorf("the previous page has %q", got)
		}
		for part, want := range map[string]int{"07": 1, `7""`: 6, "KEY_": 50} {
			if got := v.get("/settings?q=" + url.QueryEscape(part)).keyNames(); len(got) != want {
				t.Errorf("the search for %s finds %d keys, want %d", part, len(got), want)
			}
		}
		for what, path := range map[string]string{
			"a cursor": "/settings?cursor=key_0", "twice": "/settings?page=1&page=2", "longer pages": "/settings?limit=200",
			"no number": "/settings?page=x", "page 0": "/settings?page=0",
			"NUL": "/settings?q=%00", "no UTF-8": "/settings?q=%ff", "no query": "/settings?q=%zz",
		} {
			if got := v.get(path); got.Status != http.StatusBadRequest || got.root == nil {
				t.Errorf("%s: %d", what, got.Status)
			}
		}
	})
}

// TestListIsSorted: each column is a link that sorts by it, and then one that sorts the other way round.
func TestListIsSorted(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, u := newcomer(t, s, "ada@example.com")
	soon := b.Clock.Now().Add(48 * time.Hour).Format(time.RFC3339)
	later := b.Clock.Now().Add(480 * time.Hour).Format(time.RFC3339)
	beta := s.Key(t, u, servertest.M{"name": "beta", "scope": "write", "expires_at": soon})
	b.Clock.Advance(time.Second)
	alpha := s.Key(t, u, servertest.M{"name": "Alpha", "scope": "read"})
	b.Clock.Advance(time.Second)
	s.Key(t, u, servertest.M{"name": "gamma", "scope": "read write", "expires_at": later})
	s.Me(t, beta.Plain).Want(t, http.StatusOK, "")
	b.Clock.Advance(time.Second)
	for range 2 {
		s.Me(t, alpha.Plain).Want(t, http.StatusOK, "")
	}
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	sorted := func(p page) (column, how string) {
		for _, th := range p.all("th") {
			if by := attribute(th, "aria-sort"); by != "" {
				column, how = column+text(th), how+by
			}
		}
		return column, how
	}
	p := v.get("/settings")
	if column, how := sorted(p); column != "Created" || how != "descending" {
		t.Errorf("the list is sorted by %s, %s", column, how)
	}
	for _, tt := range []struct{ column, how, names string }{
		{"Name", "ascending", "Alpha beta gamma"},
		{"Scopes", "ascending", "Alpha gamma beta"},
		{"Created", "descending", "gamma Alpha beta"},
		{"Last used", "descending", "Alpha beta gamma"},
		{"30 days", "descending", "Alpha beta gamma"},
		{"Expires", "ascending", "beta gamma Alpha"},
		{"Status", "ascending", "beta gamma Alpha"},
	} {
		p := v.get("/settings?sort=key").want(http.StatusOK)
		p = v.get(p.link(tt.column)).want(http.StatusOK)
		if column, how := sorted(p); column != tt.column || how != tt.how || strings.Join(p.keyNames(), " ") != tt.names {
			t.Errorf("%s: sorted by %s, %s: %q, want %s", tt.column, column, how, p.keyNames(), tt.names)
		}
		p = v.get(p.link(tt.column))
		if _, how := sorted(p); how == tt.how {
			t.Errorf("%s: its link does not turn the order round", tt.column)
		}
	}
	if got := v.get("/settings?sort=none").keyNames(); !slices.Equal(got, []string{"gamma", "Alpha", "beta"}) {
		t.Errorf("an unknown column sorts by %q", got)
	}

	// What the key was used for is told apart, in words as well.
	titles := func(n *html.Node) bool { return text(n) == "2 accepted, 0 rejected in 30 days" }
	if !slices.ContainsFunc(p.all("title"), titles) {
		t.Error("no row says how often the key was used")
	}
}

// TestListFilters: the list shows what can be used at first, and each state when it is asked for.
func TestListFilters(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, u := newcomer(t, s, "ada@example.com")
	key := func(name string, after time.Duration) servertest.Key {
		members := servertest.M{"name": name}
		if after > 0 {
			members["expires_at"] = b.Clock.Now().Add(after).Format(time.RFC3339)
		}
		b.Clock.Advance(time.Second)
		return s.Key(t, u, members)
	}
	key("lasting", 0)
	key("expired", time.Hour)
	revoked := key("revoked", 0)
	b.Clock.Advance(2 * time.Hour)
	s.Admin(t, http.MethodDelete, "/admin/keys/"+revoked.ID, nil).Want(t, http.StatusNoContent, "")
	b.Clock.Advance(90 * 24 * time.Hour)
	v.signIn(u.Email, secret)
	key("near", time.Hour)
	for state, want := range map[string]string{
		"": "near lasting", "active": "near lasting", "expiring": "near", "unused": "lasting", "inactive": "revoked expired",
		"expired": "expired", "revoked": "revoked", "leaked": "", "all": "near revoked expired lasting", "none": "near lasting",
	} {
		if got := strings.Join(v.get("/settings?state="+state).want(http.StatusOK).keyNames(), " "); got != want {
			t.Errorf("state=%s lists %q, want %q", state, got, want)
		}
	}
	all := v.get("/settings?state=all")
	all.says("Active", "Expires soon", "Expired", "Revoked")
	if n := len(all.all("use")); n != 4 {
		t.Errorf("%d states have an icon, want 4", n)
	}
}

// TestLongListOnward: an operator's list of more keys than are sorted goes on page by page, the newest first.
func TestLongListOnward(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := servertest.New(t, b)
	v, _ := chief(t, s)
	bob := s.User(t, servertest.M{"email": "bob@example.com"})
	for i := range 60 {
		s.Key(t, bob, servertest.M{"name": fmt.Sprintf("key %02d", i)})
	}
	// Entries whose keys have gone count, until they are purged.
	var gone []any
	for i := range 2_000 {
		gone = append(gone, 0, fmt.Sprintf("key_%011x%s", i, strings.Repeat("a", 16)))
	}
	b.Do(append([]any{"zadd", "mk:keys:id"}, gone...)...)
	first := v.get("/operator/keys").want(http.StatusOK).says("More than 2,000 keys")
	second := v.get(first.link("Next page")).want(http.StatusOK)
	if n, m := len(first.keyNames()), len(second.keyNames()); n != 50 || m != 10 || first.link("Name") != "" {
		t.Errorf("the pages have %d and %d keys, want 50 and 10", n, m)
	}
	if got := v.get("/operator/keys?user=bob@example.com").says("60 keys · page 1 of 2").link("Name"); got == "" {
		t.Error("the keys of one owner are not sorted")
	}
	cursor, err := url.Parse(first.link("Next page"))
	if err != nil {
		t.Fatal(err)
	}
	good := cursor.Query().Get("cursor")
	for what, path := range map[string]string{
		"changed": "/operator/keys?cursor=" + good[:len(good)-1] + "A", "cut": "/operator/keys?cursor=" + good[:10],
		"another list": "/operator/keys?state=inactive&cursor=" + good, "a search": "/operator/keys?q=x&cursor=" + good,
	} {
		if got := v.get(path); got.Status != http.StatusBadRequest {
			t.Errorf("a cursor %s: %d", what, got.Status)
		}
	}
}

// TestListIsLive: a list in a tab shows what has become of the keys since, but leaves a selection alone.
func TestListIsLive(t *testing.T) {
	needChromium(t)
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), plainHTTP)
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	visit(t, s).redeem(s.Invite(t, u), secret)
	one, two := s.Key(t, u, servertest.M{"name": "one"}), s.Key(t, u, servertest.M{"name": "two"})
	b := openTab(t, s, desk)
	b.open("/login")
	b.fill("#email", u.Email)
	b.fill("#password", secret)
	b.press("main button")
	b.says("Updated", "2 keys")
	s.Admin(t, http.MethodDelete, "/admin/keys/"+one.ID, nil).Want(t, http.StatusNoContent, "")
	asked[bool](b, forward)
	const names = `[...document.querySelectorAll("#keys .lead a")].map(a => a.textContent).join()`
	run(b, chromedp.Poll[bool](names+` === "two"`))
	if !asked[bool](b, `[...document.querySelectorAll("#keys .copy")].every(button => !button.hidden && button.ariaLabel)`) {
		t.Error("the buttons of the new rows do nothing")
	}
	run(b, chromedp.Click(chromedp.CSS("[data-all]")))
	if !asked[bool](b, `document.querySelector("#keys input").checked`) {
		t.Error("the box above the list does not select it")
	}
	s.Admin(t, http.MethodDelete, "/admin/keys/"+two.ID, nil).Want(t, http.StatusNoContent, "")
	asked[bool](b, forward)
	b.becomes("Updated 0 s ago")
	if got := asked[string](b, names); got != "two" {
		t.Errorf("a row that was selected is gone; the list has %q", got)
	}
	b.press("form button.dangerous")
	b.says("No active key is left to revoke.")
}
