package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func query(t testing.TB, raw string) Query {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL.RawQuery = raw
	p, err := ReadQuery(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLimit(t *testing.T) {
	for raw, want := range map[string]int{"": 50, "limit=": 50, "limit=1": 1, "limit=200": 200} {
		if got, err := query(t, raw).Limit(); got != want || err != nil {
			t.Errorf("%q: got %d, %v; want %d", raw, got, err, want)
		}
	}
	for _, raw := range []string{"limit=0", "limit=201", "limit=-1", "limit=1.5", "limit=x", "limit=99999999999999999999", "limit=1&limit=2"} {
		if _, err := query(t, raw).Limit(); err == nil || !strings.Contains(err.Error(), "limit: ") {
			t.Errorf("%q: got %v, want a refusal that names it", raw, err)
		}
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for raw, want := range map[string]time.Time{
		"": {}, "since=24h": now.Add(-24 * time.Hour), "since=0s": now,
		"since=2026-01-31T12:00:00Z":          time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		"since=2026-01-31T12:00:00.5%2B01:00": time.Date(2026, 1, 31, 11, 0, 0, 5e8, time.UTC),
	} {
		if got, err := query(t, raw).Moment("since", now); !got.Equal(want) || err != nil {
			t.Errorf("%q: got %v, %v; want %v", raw, got, err, want)
		}
	}
	for _, raw := range []string{"since=-1h", "since=yesterday", "since=2026-01-31", "since=1", "since=%00", "since=%ff"} {
		if got, err := query(t, raw).Moment("since", now); err == nil {
			t.Errorf("%q: got %v, want a refusal", raw, got)
		}
	}
}
