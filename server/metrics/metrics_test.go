package metrics_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// scrape is what an operator's Prometheus gets.
func scrape(t testing.TB, m *metrics.Metrics) string {
	t.Helper()
	srv := httptest.NewServer(m.Handler())
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("scrape: got %s", resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// samples are the lines of a scrape that begin with prefix, in its order.
func samples(scraped, prefix string) []string {
	var lines []string
	for line := range strings.Lines(scraped) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scrape differs (-want +got):\n%s", diff)
	}
}

func TestRequests(t *testing.T) {
	m := metrics.New(metrics.Sources{})
	m.Request("/oauth/token", "POST", 200, 300*time.Microsecond)
	m.Request("/oauth/token", "POST", 200, 3*time.Millisecond)
	m.Request("/oauth/token", "POST", 401, 150*time.Microsecond)
	m.Request("/admin/clients/:id", "GET", 503, 1500*time.Millisecond)
	m.Request("", "BREW", 404, time.Microsecond)
	m.Request("", "get", 799, 5*time.Second)

	got := scrape(t, m)
	equal(t, samples(got, "mintkeep_http_requests_total"), []string{
		`mintkeep_http_requests_total{method="GET",route="/admin/clients/:id",status="503"} 1`,
		`mintkeep_http_requests_total{method="POST",route="/oauth/token",status="200"} 2`,
		`mintkeep_http_requests_total{method="POST",route="/oauth/token",status="401"} 1`,
		`mintkeep_http_requests_total{method="other",route="unmatched",status="404"} 1`,
		`mintkeep_http_requests_total{method="other",route="unmatched",status="other"} 1`,
	})
	equal(t, samples(got, `mintkeep_http_request_duration_seconds_bucket{route="/oauth/token"`), []string{
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.0002"} 1`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.0005"} 2`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.001"} 2`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.002"} 2`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.005"} 3`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.01"} 3`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.02"} 3`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.05"} 3`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.1"} 3`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.2"} 3`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="0.5"} 3`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="1"} 3`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="2"} 3`,
		`mintkeep_http_request_duration_seconds_bucket{route="/oauth/token",le="+Inf"} 3`,
	})
	equal(t, samples(got, "mintkeep_http_request_duration_seconds_count"), []string{
		`mintkeep_http_request_duration_seconds_count{route="/admin/clients/:id"} 1`,
		`mintkeep_http_request_duration_seconds_count{route="/oauth/token"} 3`,
		`mintkeep_http_request_duration_seconds_count{route="unmatched"} 2`,
	})
}

func TestTokensAndIntrospections(t *testing.T) {
	m := metrics.New(metrics.Sources{})
	m.TokenIssued("jwt")
	m.TokenIssued("jwt")
	m.TokenIssued("paseto")
	m.TokenRefused("invalid_scope")
	m.TokenRefused("invalid_client")
	m.TokenRefused("mks_0123456789")
	m.Introspected(true)
	m.Introspected(false)
	m.Introspected(false)

	got := scrape(t, m)
	equal(t, samples(got, "mintkeep_tokens_issued_total"), []string{
		`mintkeep_tokens_issued_total{format="jwt"} 2`,
		`mintkeep_tokens_issued_total{format="opaque"} 0`,
		`mintkeep_tokens_issued_total{format="other"} 1`,
	})
	equal(t, samples(got, "mintkeep_tokens_refused_total"), []string{
		`mintkeep_tokens_refused_total{reason="invalid_client"} 1`,
		`mintkeep_tokens_refused_total{reason="invalid_grant"} 0`,
		`mintkeep_tokens_refused_total{reason="invalid_request"} 0`,
		`mintkeep_tokens_refused_total{reason="invalid_scope"} 1`,
		`mintkeep_tokens_refused_total{reason="invalid_target"} 0`,
		`mintkeep_tokens_refused_total{reason="other"} 1`,
		`mintkeep_tokens_refused_total{reason="server_error"} 0`,
		`mintkeep_tokens_refused_total{reason="temporarily_unavailable"} 0`,
		`mintkeep_tokens_refused_total{reason="too_many_requests"} 0`,
		`mintkeep_tokens_refused_total{reason="unauthorized_client"} 0`,
		`mintkeep_tokens_refused_total{reason="unsupported_grant_type"} 0`,
	})
	equal(t, samples(got, "mintkeep_introspections_total"), []string{
		`mintkeep_introspections_total{result="active"} 1`,
		`mintkeep_introspections_total{result="inactive"} 2`,
	})
}

// The store counts by the same list; see its TestStatisticsCountEachTokenError.
func TestTokenErrorsHaveSeries(t *testing.T) {
	m := metrics.New(metrics.Sources{})
	want := []string{`mintkeep_tokens_refused_total{reason="other"} 0`}
	for _, code := range store.TokenErrors {
		m.TokenRefused(code)
		want = append(want, `mintkeep_tokens_refused_total{reason="`+code+`"} 1`)
	}
	slices.Sort(want)
	equal(t, samples(scrape(t, m), "mintkeep_tokens_refused_total"), want)
}

func TestRedis(t *testing.T) {
	m := metrics.New(metrics.Sources{
		Pool: func() redisdb.PoolStats {
			return redisdb.PoolStats{Hits: 40, Misses: 3, Timeouts: 2, Total: 5, Idle: 4, Stale: 1}
		},
	})
	m.Redis("get", 80*time.Microsecond, nil)
	m.Redis("get", time.Second, errors.New("i/o timeout"))
	m.Redis("pipeline", time.Millisecond, nil)
	m.Redis("flushall", time.Millisecond, errors.New("no such luck"))

	got := scrape(t, m)
	equal(t, samples(got, "mintkeep_redis_command_duration_seconds_count"), []string{
		`mintkeep_redis_command_duration_seconds_count{command="get"} 2`,
		`mintkeep_redis_command_duration_seconds_count{command="other"} 1`,
		`mintkeep_redis_command_duration_seconds_count{command="pipeline"} 1`,
	})
	equal(t, samples(got, "mintkeep_redis_errors_total"), []string{
		`mintkeep_redis_errors_total{command="get"} 1`,
		`mintkeep_redis_errors_total{command="other"} 1`,
		`mintkeep_redis_errors_total{command="pipeline"} 0`,
	})
	equal(t, samples(got, "mintkeep_redis_pool"), []string{
		`mintkeep_redis_pool_connections 5`,
		`mintkeep_redis_pool_hits_total 40`,
		`mintkeep_redis_pool_idle_connections 4`,
		`mintkeep_redis_pool_misses_total 3`,
		`mintkeep_redis_pool_stale_total 1`,
		`mintkeep_redis_pool_timeouts_total 2`,
	})
}

func TestStoreBehind(t *testing.T) {
	behind := false
	m := metrics.New(metrics.Sources{Behind: func() bool { return behind }})
	equal(t, samples(scrape(t, m), "mintkeep_store_behind"), []string{"mintkeep_store_behind 0"})
	behind = true
	equal(t, samples(scrape(t, m), "mintkeep_store_behind"), []string{"mintkeep_store_behind 1"})
}

func TestSigningKeyAge(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		since time.Time
		want  []string
	}{
		"active for 90 s":            {now.Add(-90 * time.Second), []string{"mintkeep_signing_key_age_seconds 90"}},
		"made by a clock ahead":      {now.Add(30 * time.Second), []string{"mintkeep_signing_key_age_seconds 0"}},
		"no key: absent, not a zero": {time.Time{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := metrics.New(metrics.Sources{
				ActiveSince: func() time.Time { return test.since },
				Now:         func() time.Time { return now },
			})
			equal(t, samples(scrape(t, m), "mintkeep_signing_key_age_seconds"), test.want)
		})
	}
}

func TestProcess(t *testing.T) {
	got := scrape(t, metrics.New(metrics.Sources{Version: "1.2.3"}))
	for _, want := range []string{
		`mintkeep_build_info{goversion="go1.`, `version="1.2.3"} 1`, "\ngo_goroutines ", "\nprocess_resident_memory_bytes ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("scrape lacks %q", want)
		}
	}
}

// TestManual holds the list in doc.go to what is scraped.
func TestManual(t *testing.T) {
	m := metrics.New(metrics.Sources{
		Pool:        func() redisdb.PoolStats { return redisdb.PoolStats{} },
		Behind:      func() bool { return true },
		ActiveSince: time.Now,
		KeySets:     func() metrics.KeySets { return metrics.KeySets{} },
		Feed:        func() feed.Status { return feed.Status{Polled: true} },
		State:       func(context.Context) metrics.State { return whole() },
	})
	m.Request("/", "GET", 200, time.Second)
	m.Redis("get", time.Second, nil)
	var got []string
	for _, line := range samples(scrape(t, m), "# TYPE mintkeep_") {
		got = append(got, strings.Fields(line)[2])
	}

	manual, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, line := range samples(string(manual), "//\tmintkeep_") {
		name, _, _ := strings.Cut(strings.Fields(line)[1], "{")
		want = append(want, name)
	}
	slices.Sort(want)
	equal(t, got, want)
}

// whole is a state of which everything is known.
func whole() metrics.State {
	used := 0.25
	return metrics.State{
		Ready: true, Breaker: "closed", SigningRotation: time.Hour, CertificateExpires: time.Unix(1_800_000_000, 0), Known: true,
		Totals: store.Totals{Clients: 3, Users: 2, ActiveKeys: 7}, Guards: &metrics.Guards{Current: 4, Late: 1}, RedisMemory: &used,
	}
}

// What is not known is absent.
func TestState(t *testing.T) {
	state := whole()
	m := metrics.New(metrics.Sources{State: func(context.Context) metrics.State { return state }})
	shown := func() (lines []string) {
		for _, line := range samples(scrape(t, m), "mintkeep_") {
			if !strings.Contains(line, "_total") && !strings.Contains(line, "build_info") && !strings.Contains(line, "_propagation_") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	equal(t, shown(), []string{
		"mintkeep_active_keys 7",
		"mintkeep_certificate_expiry_timestamp_seconds 1.8e+09",
		"mintkeep_clients 3",
		`mintkeep_guards{state="current"} 4`,
		`mintkeep_guards{state="late"} 1`,
		"mintkeep_ready 1",
		"mintkeep_redis_memory_used_ratio 0.25",
		"mintkeep_signing_key_rotation_seconds 3600",
		`mintkeep_store_breaker{state="checking"} 0`,
		`mintkeep_store_breaker{state="closed"} 1`,
		`mintkeep_store_breaker{state="quarantined"} 0`,
		`mintkeep_store_breaker{state="replaying"} 0`,
		`mintkeep_store_breaker{state="uncovered"} 0`,
		"mintkeep_users 2",
	})
	state = metrics.State{Breaker: "replaying"}
	equal(t, shown(), []string{
		"mintkeep_ready 0",
		`mintkeep_store_breaker{state="checking"} 0`,
		`mintkeep_store_breaker{state="closed"} 0`,
		`mintkeep_store_breaker{state="quarantined"} 0`,
		`mintkeep_store_breaker{state="replaying"} 1`,
		`mintkeep_store_breaker{state="uncovered"} 0`,
	})
}

func TestAuditNotWritten(t *testing.T) {
	m := metrics.New(metrics.Sources{})
	m.AuditNotWritten(metrics.AuditCopy, 3)
	equal(t, samples(scrape(t, m), "mintkeep_audit"), []string{
		`mintkeep_audit_not_written_total{to="copy"} 3`,
		`mintkeep_audit_not_written_total{to="store"} 0`,
	})
}

func TestTwoRegistriesDoNotMeet(t *testing.T) {
	a, b := metrics.New(metrics.Sources{}), metrics.New(metrics.Sources{})
	a.TokenIssued("opaque")
	equal(t, samples(scrape(t, b), `mintkeep_tokens_issued_total{format="opaque"}`),
		[]string{`mintkeep_tokens_issued_total{format="opaque"} 0`})
}

func TestNil(t *testing.T) {
	var m *metrics.Metrics
	m.Request("/", "GET", 200, time.Second)
	m.TokenIssued("jwt")
	m.TokenRefused("invalid_scope")
	m.Introspected(true)
	m.Redis("get", time.Second, errors.New("down"))
	m.KeysFetched(true)
	m.FeedVoid("token")
	m.FeedReset(metrics.ResetFirst)
	m.FeedBroken("gone")
	m.FeedPropagated(time.Second)
	m.AuditNotWritten(metrics.AuditStore, 1)

	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got, want := w.Code, http.StatusNotFound; got != want {
		t.Errorf("handler of nil: got %d, want %d", got, want)
	}
}

func TestKeySets(t *testing.T) {
	m := metrics.New(metrics.Sources{KeySets: func() metrics.KeySets {
		return metrics.KeySets{Sets: 3, Overdue: 1, Oldest: 90 * time.Minute}
	}})
	m.KeysFetched(true)
	m.KeysFetched(true)
	m.KeysFetched(false)
	equal(t, samples(scrape(t, m), "mintkeep_remote_key"), []string{
		`mintkeep_remote_key_fetches_total{result="failed"} 1`,
		`mintkeep_remote_key_fetches_total{result="ok"} 2`,
		"mintkeep_remote_key_oldest_seconds 5400",
		"mintkeep_remote_key_sets 3",
		"mintkeep_remote_key_sets_overdue 1",
	})
}

func TestFeed(t *testing.T) {
	status := feed.Status{Waiting: 3, LookAge: -1}
	m := metrics.New(metrics.Sources{Feed: func() feed.Status { return status }})
	m.FeedVoid("client")
	m.FeedVoid("a kind that is new")
	m.FeedReset(metrics.ResetBroken)
	m.FeedBroken("mixed_versions")
	m.FeedPropagated(20 * time.Millisecond)
	got := scrape(t, m)
	for _, want := range []string{
		`mintkeep_feed_voids_total{kind="client"} 1`, `mintkeep_feed_voids_total{kind="other"} 1`, `mintkeep_feed_voids_total{kind="user"} 0`,
		`mintkeep_feed_resets_total{reason="broken"} 1`, `mintkeep_feed_broken_total{reason="mixed_versions"} 1`,
		"mintkeep_feed_propagation_seconds_count 1", "mintkeep_feed_subscribers 3",
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	equal(t, samples(got, "mintkeep_feed_look_age_seconds"), nil)
	status = feed.Status{Polled: true, LookAge: 90 * time.Millisecond}
	equal(t, samples(scrape(t, m), "mintkeep_feed_look_age_seconds"), []string{"mintkeep_feed_look_age_seconds 0.09"})
	status.Polled = false // nothing looks: the age says nothing
	equal(t, samples(scrape(t, m), "mintkeep_feed_look_age_seconds"), nil)
}
