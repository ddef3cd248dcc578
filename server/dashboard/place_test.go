package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const operatorsAt = "https://admin.example.com"

// twoPlaces is a server that has a listener for operators.
func twoPlaces(t *testing.T) *servertest.Server {
	return servertest.New(t, storetest.Embedded(t), "MINTKEEP_ADMIN_ADDR=127.0.0.1:8081", "MINTKEEP_ADMIN_URL="+operatorsAt)
}

// links are those of the navigation.
func (p page) links() (found []string) {
	for _, nav := range p.all("nav") {
		if attribute(nav, "aria-label") != "Main" {
			continue
		}
		for n := range nav.Descendants() {
			if n.Data == "a" {
				found = append(found, attribute(n, "href"))
			}
		}
	}
	return found
}

func TestOperatorsSignInAtTheirOwnListener(t *testing.T) {
	s := twoPlaces(t)
	ada := s.Private.User(t, servertest.M{"email": "ada@example.com", "role": "operator"})
	public := visit(t, s).redeem(s.Private.Invite(t, ada), secret)

	private := visit(t, s.Private)
	private.get("/operator/clients").wantTo("/login?next=%2Foperator%2Fclients")
	private.submit(private.get("/login?next=/operator/clients"), "/login", "email", "ada@example.com", "password", secret).wantTo("/operator/clients")
	private.get("/").wantTo("/operator")

	want := servertest.Issuer + "/settings /operator " + servertest.Issuer + "/docs " + servertest.Issuer + "/settings/profile"
	if got := strings.Join(private.get("/operator").want(http.StatusOK).links(), " "); got != want {
		t.Errorf("for operators the navigation leads to %s, want %s", got, want)
	}
	want = "/settings " + operatorsAt + "/operator /docs /settings/profile"
	if got := strings.Join(public.get("/settings").want(http.StatusOK).links(), " "); got != want {
		t.Errorf("the public navigation leads to %s, want %s", got, want)
	}
	private.submit(private.get("/operator/clients"), "/logout").wantTo("/login?done=signed-out")
	public.get("/settings").want(http.StatusOK) // is another session
}

// A session at one listener is none at the other, whatever name its cookie is given.
func TestSessionsAreNotCarriedOver(t *testing.T) {
	s := twoPlaces(t)
	ada := s.Private.User(t, servertest.M{"email": "ada@example.com", "role": "operator"})
	public := visit(t, s).redeem(s.Private.Invite(t, ada), secret)
	private := visit(t, s.Private)
	private.signIn("ada@example.com", secret).wantTo("/operator")

	of := func(v *userAgent) (value string) {
		for name, cookie := range v.cookies {
			if strings.HasSuffix(name, "session") {
				value = cookie
			}
		}
		return value
	}
	both := []string{"__Host-mintkeep_session", "__Host-mintkeep_operator_session"}
	for _, name := range both {
		stolen := visit(t, s.Private)
		stolen.cookies[name] = of(public)
		stolen.get("/operator").wantTo("/login?next=%2Foperator")
		for _, value := range []string{of(private), "operator " + of(private)} {
			stolen = visit(t, s)
			stolen.cookies[name] = value
			stolen.get("/settings").wantTo("/login?next=%2Fsettings")
		}
	}
	private.get("/operator").want(http.StatusOK)
}

func TestDeveloperCannotSignInWhereOperatorsDo(t *testing.T) {
	s := twoPlaces(t)
	bob := s.Private.User(t, servertest.M{"email": "bob@example.com"})
	visit(t, s).redeem(s.Private.Invite(t, bob), secret)

	private := visit(t, s.Private)
	private.signIn("bob@example.com", secret).want(http.StatusForbidden).says("This page is for operators")
	private.get("/operator").wantTo("/login?next=%2Foperator")
	private.signIn("bob@example.com", "wrong").want(http.StatusUnauthorized).says("The email or the password is wrong.")
	private.submit(private.get("/login?next=/settings"), "/login", "email", "bob@example.com", "password", secret).want(http.StatusForbidden)
}

// A form of one listener is none of the other, nor of another origin.
func TestFormsOfTheListenerForOperators(t *testing.T) {
	s := twoPlaces(t)
	ada := s.Private.User(t, servertest.M{"email": "ada@example.com", "role": "operator"})
	visit(t, s).redeem(s.Private.Invite(t, ada), secret)
	private := visit(t, s.Private)
	private.signIn("ada@example.com", secret).wantTo("/operator")
	form := private.get("/operator/users").form("/operator/users")
	form.Set("email", "eve@example.com")
	for origin, want := range map[string]int{
		servertest.Issuer: http.StatusForbidden, "https://evil.example": http.StatusForbidden, operatorsAt: http.StatusOK,
	} {
		got := private.post("/operator/users", form, servertest.Header("Origin", origin), servertest.Header("Sec-Fetch-Site", "cross-site"))
		if got.Status != want {
			t.Errorf("a form from %s: got %d, want %d", origin, got.Status, want)
		}
	}
}
