package server_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// revokeNothing are the routes that change something, or are a POST, and can revoke nothing. Each other one can: by the
// narrowing of a client or key, the change of a password, a rotation.
var revokeNothing = []string{
	"POST /oauth/token", "POST /oauth/introspect", "POST /oauth/changes", "POST /oauth/confirm", "POST /oauth/authorize",
	"POST /api/v1/keys", "POST /settings/keys", "POST /settings/profile", "POST /login",
	"POST /admin/clients", "POST /admin/users", "POST /admin/users/:id/keys", "POST /admin/guards/probe",
	"POST /operator/clients", "POST /operator/clients/:id/enable", "POST /operator/users", "POST /operator/users/:id/enable",
	"POST /operator/users/:id/promote", "POST /operator/keys/:id/enable", "POST /settings/keys/:id/enable",
}

// MintkeepRevocationFailing counts the failures of each route that can revoke, and of no other.
func TestAlertKnowsTheRoutesThatRevoke(t *testing.T) {
	t.Parallel()
	alerts, err := os.ReadFile("../docs/deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(string(alerts), "- record: mintkeep:revocations_failed")
	rule, _, _ = strings.Cut(rule, "- alert:")
	selectors := regexp.MustCompile(`\{status=~"5\.\.",method=~"([^"]*)",route!~"([^"]*)"\}`).FindAllStringSubmatch(rule, -1)
	if len(selectors) != 2 || selectors[0][0] != selectors[1][0] {
		t.Fatalf("the rule has not the same selector twice:\n%s", rule)
	}
	methods, others := regexp.MustCompile("^(?:"+selectors[0][1]+")$"), regexp.MustCompile("^(?:"+selectors[0][2]+")$")
	counted := map[string]bool{}
	for _, route := range servertest.New(t, storetest.Embedded(t), "MINTKEEP_METADATA_COMPAT=true").Server.Routes() {
		counted[route.Method+" "+route.Path] = methods.MatchString(route.Method) && !others.MatchString(route.Path)
	}
	for _, route := range revokeNothing {
		if counts, ok := counted[route]; !ok || counts {
			t.Errorf("%s: it is a route: %v; its failures count: %v", route, ok, counts)
		}
		delete(counted, route)
	}
	for route, counts := range counted {
		method, _, _ := strings.Cut(route, " ")
		if want := method != http.MethodGet && method != http.MethodHead; counts != want {
			t.Errorf("%s: its failures count: %v, want %v", route, counts, want)
		}
	}
}

// Each route has its own series in the metrics, whatever it is answered with.
func TestMetricsHaveRoomForEachRoute(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Sources{})
	statuses := []int{200, 201, 204, 303, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 502, 503}
	for _, route := range servertest.New(t, storetest.Embedded(t), "MINTKEEP_METADATA_COMPAT=true").Server.Routes() {
		for _, status := range statuses {
			m.Request(route.Path, route.Method, status, 0)
		}
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if strings.Contains(w.Body.String(), `route="other"`) {
		t.Error("some routes have no series of their own")
	}
}
