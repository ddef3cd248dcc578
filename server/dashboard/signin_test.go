package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestCookies: the session's cookie has every protection, and each sign-in sets a new one.
func TestCookies(t *testing.T) {
	t.Parallel()
	t.Run("over https", func(t *testing.T) {
		testCookies(t, servertest.New(t, storetest.Embedded(t)), "__Host-mintkeep_", "; Path=/; HttpOnly; Secure; SameSite=Lax")
	})
	t.Run("over http", func(t *testing.T) {
		testCookies(t, servertest.New(t, storetest.Embedded(t), plainHTTP), "mintkeep_", "; Path=/; HttpOnly; SameSite=Lax")
	})
}

func testCookies(t *testing.T, s *servertest.Server, prefix, attributes string) {
	t.Helper()
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	visit(t, s).redeem(s.Invite(t, u), secret)

	v := visit(t, s)
	v.cookies[prefix+"session"] = strings.Repeat("A", 52) // set beforehand by an attacker
	login := v.get("/login")
	if set := login.Header.Values("Set-Cookie"); len(set) != 1 || !strings.HasPrefix(set[0], prefix+"visit=") || !strings.HasSuffix(set[0], attributes) {
		t.Errorf("before the sign-in: %q", set)
	}
	v.cookies[prefix+"session"] = strings.Repeat("A", 52)
	in := v.submit(login, "/login", "email", u.Email, "password", secret).wantTo("/settings")
	name, session := v.session()
	if set := in.Header.Values("Set-Cookie"); len(set) != 2 || set[0] != prefix+"session="+session+attributes || !strings.Contains(set[1], "Max-Age=0") {
		t.Errorf("signed in: %q", set)
	}
	if name != prefix+"session" || len(session) < 44 || session == strings.Repeat("A", 52) {
		t.Errorf("the session is %s=%q", name, session)
	}
	fixed := visit(t, s)
	fixed.cookies[prefix+"session"] = strings.Repeat("A", 52)
	fixed.get("/settings").wantTo("/login?next=%2Fsettings")

	// Every sign-in sets another, and the one before is invalid.
	before := v.copied()
	v.signIn(u.Email, secret).wantTo("/settings")
	if _, again := v.session(); again == session {
		t.Error("the session is the one before")
	}
	v.get("/settings").want(http.StatusOK)
	before.get("/settings").wantTo("/login?next=%2Fsettings")

	// Two cookies of the name count as none: one of them is an attacker's.
	v.get("/settings", func(r *http.Request) { r.Header.Add("Cookie", name+"=planted") }).wantTo("/login?next=%2Fsettings")
	v.signIn(u.Email, secret).wantTo("/settings")
	out := v.submit(v.get("/settings"), "/logout").wantTo("/login?done=signed-out")
	if set := out.Header.Values("Set-Cookie"); len(set) != 1 || !strings.HasPrefix(set[0], name+"=; Path=/; Max-Age=0") {
		t.Errorf("signed out: %q", set)
	}
}

// TestNext is where a sign-in may lead: never to another site.
func TestNext(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	v := visit(t, s).redeem(s.Invite(t, u), secret)
	for next, want := range map[string]string{
		"/settings/keys/new": "/settings/keys/new", "/settings?state=all&q=x": "/settings?state=all&q=x", "/docs": "/docs",
		"/operator/clients": "/operator/clients", "": "/settings",
		"https://evil.example/settings": "/settings", "//evil.example/settings": "/settings", `\\evil.example/settings`: "/settings",
		`/\evil.example`: "/settings", "/settings@evil.example": "/settings", "/settings.evil.example": "/settings",
		"javascript:alert(1)": "/settings", "/settings/../logout": "/settings", "/settings/%2e%2e/%2e%2e//evil.example": "/settings",
		"/logout": "/settings", "/invite/x": "/settings", "/login?next=/login": "/settings", "/admin/clients": "/settings", "settings": "/settings",
		"/settings\r\nSet-Cookie: x=y": "/settings", "/settings\x00": "/settings", "http:/settings": "/settings", "https:settings": "/settings",
		"///evil.example/settings": "/settings", "/%2fevil.example": "/settings", "/settings#//evil.example": "/settings", " /settings": "/settings",
		"user:pass@/settings": "/settings",
	} {
		s.Clock.Advance(10 * time.Second) // eleven sign-ins in a minute are too many
		p := v.get("/login")
		if got := v.submit(p, "/login", "email", u.Email, "password", secret, "next", next).want(http.StatusSeeOther).Header.Get("Location"); got != want {
			t.Errorf("%.60q leads to %.60q, want %q", next, got, want)
		}
	}
	// After the sign-in the browser is sent to the page that asked for it.
	v = visit(t, s)
	asked := v.get("/settings?state=all&q=a+b").want(http.StatusSeeOther).Header.Get("Location")
	v.submit(v.get(asked).want(http.StatusOK), "/login", "email", u.Email, "password", secret).wantTo("/settings?state=all&q=a+b")
}

// TestGuessing: guessing passwords and invites is limited, and reveals no account.
func TestGuessing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b), servertest.New(t, b)
		ada := s.User(t, servertest.M{"email": "ada@example.com"})
		visit(t, s).redeem(s.Invite(t, ada), secret)
		off := s.User(t, servertest.M{"email": "off@example.com"})
		visit(t, s).redeem(s.Invite(t, off), secret)
		s.Admin(t, http.MethodPatch, "/admin/users/"+off.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
		s.User(t, servertest.M{"email": "new@example.com"})

		t.Run("one answer to every failed sign-in", func(t *testing.T) {
			v := visit(t, s)
			form := v.get("/login").form("/login")
			var want string
			for _, try := range []struct{ email, password string }{
				{"ada@example.com", "wrong"},
				{"off@example.com", secret},
				{"off@example.com", "wrong"},
				{"new@example.com", secret},
				{"non@example.com", secret},
				{"ada@example.com", strings.Repeat("x", 20_000)},
				{"ada@example.com", ""},
			} {
				form.Set("email", try.email)
				form.Set("password", try.password)
				p := v.under(t).post("/login", form).want(http.StatusUnauthorized)
				p.Header.Del("X-Request-Id")
				p.Header.Del("Date")
				got := strings.ReplaceAll(p.Body, try.email, "EMAIL")
				for _, name := range []string{"Set-Cookie", "Content-Length", "Vary", "Retry-After"} {
					got += name + p.Header.Get(name)
				}
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("%v is answered otherwise:\n%s\n%s", try.email, got, want)
				}
			}
			b.Clock.Advance(2 * time.Minute)
		})
		t.Run("too many attempts", func(t *testing.T) {
			v := visit(t, s)
			for i := range 10 {
				[]*userAgent{v, v.at(replica)}[i%2].signIn("Ada@Example.com", "wrong").want(http.StatusUnauthorized)
			}
			for _, password := range []string{"wrong", secret} { // before the password is hashed
				start := time.Now()
				p := v.signIn("ada@example.com", password).want(http.StatusTooManyRequests).says("Too many requests")
				if after := p.Header.Get("Retry-After"); after == "" || after == "0" {
					t.Errorf("Retry-After: %q after %v", after, time.Since(start))
				}
				if b.Server != nil {
					v.at(replica).signIn("ada@example.com", password).want(http.StatusTooManyRequests)
				}
			}
			v.signIn("off@example.com", "wrong").want(http.StatusUnauthorized)
			trail := s.Admin(t, http.MethodGet, "/admin/audit?refusals=true&actor=user:"+ada.ID, nil).JSON(t)["items"].([]any)
			if len(trail) == 0 || trail[0].(servertest.M)["action"] != "session.refused" {
				t.Errorf("the trail has %v", trail)
			}
			b.Clock.Advance(time.Minute)
			v.signIn("ada@example.com", secret).wantTo("/settings") // the account is not locked
		})
		t.Run("guessed invites", func(t *testing.T) {
			b.Clock.Advance(2 * time.Minute)
			link := s.Invite(t, ada)
			path := link[strings.Index(link, "/invite/"):]
			v := visit(t, s)
			over := 0
			for i := range 310 {
				if v.get(path[:len(path)-2]+string(rune('a'+i%26))+string(rune('a'+i/26))).Status == http.StatusTooManyRequests {
					over++
				}
			}
			if over == 0 {
				t.Error("nobody has stopped it")
			}
			b.Clock.Advance(2 * time.Minute)
		})
	})
}
