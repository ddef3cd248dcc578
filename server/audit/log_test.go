package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// inRequest calls do in a request to /r/hunter2, whose route is /r/*rest.
func inRequest(t *testing.T, do func(ctx context.Context)) {
	t.Helper()
	send := requests(slog.DiscardHandler, func(ctx context.Context) error {
		do(ctx)
		return nil
	})
	if got := send(); got != http.StatusNoContent {
		t.Fatalf("got %d", got)
	}
}

// requests sends requests to /r/hunter2, whose route is /r/*rest and whose handler calls do. It returns the status.
func requests(log slog.Handler, do func(ctx context.Context) error) (send func() int) {
	gin.SetMode(gin.ReleaseMode)
	engine, adapter := gin.New(), &web.Adapter{Logger: slog.New(log)}
	engine.GET("/r/*rest", adapter.Handle(web.NoBody, func(w http.ResponseWriter, r *http.Request) error {
		if err := do(r.Context()); err != nil {
			return err
		}
		return web.NoContent(w)
	}))
	return func() int {
		r := httptest.NewRequest(http.MethodGet, "/r/hunter2", http.NoBody)
		r.Header.Set("X-Request-Id", "r-1")
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, r)
		return w.Code
	}
}

func newLog(t *testing.T) (*audit.Log, *store.Store) {
	t.Helper()
	b := storetest.Embedded(t)
	s := b.Open(t)
	return &audit.Log{Store: s, Now: b.Clock.Now}, s
}

func events(t *testing.T, s *store.Store, filter store.EventFilter) []store.Event {
	t.Helper()
	got, _, err := s.Events(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The record comes before a change and after a revocation, and says what came of it.
func TestOrderAndOutcome(t *testing.T) {
	unavailable := fmt.Errorf("x: %w", store.ErrUnavailable)
	unconfirmed := fmt.Errorf("x: %w", store.ErrUnconfirmed)
	for _, tt := range []struct {
		name   string
		revoke bool
		err    error
		during []string // what the log has while the change is made
		after  []string
	}{
		{"change", false, nil, []string{"client.updated"}, []string{"client.updated"}},
		{"change that fails", false, store.ErrConflict, []string{"client.updated"}, []string{"client.updated.failed", "client.updated"}},
		{"change of unknown outcome", false, unavailable, []string{"client.updated"}, []string{"client.updated.failed", "client.updated"}},
		{"change that is not confirmed", false, unconfirmed, []string{"client.updated"}, []string{"client.updated"}},
		{"revocation", true, nil, nil, []string{"client.updated"}},
		{"revocation of nothing", true, store.ErrNotFound, nil, nil},
		{"revocation of unknown outcome", true, unavailable, nil, []string{"client.updated unknown"}},
		{"revocation that is not confirmed", true, unconfirmed, nil, []string{"client.updated"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, s := newLog(t)
			has := func() (lines []string) {
				for _, e := range events(t, s, store.EventFilter{}) {
					line := e.Action
					if outcome := e.Detail["outcome"]; outcome != "" {
						line += " " + outcome
					}
					lines = append(lines, line)
				}
				return lines
			}
			inRequest(t, func(ctx context.Context) {
				do := log.Change
				if tt.revoke {
					do = log.Revoke
				}
				what := audit.Record{Action: audit.ClientUpdated, Target: audit.ClientTarget("a")}
				err := do(ctx, audit.AdminToken(ctx), what, func(context.Context) error {
					if diff := cmp.Diff(tt.during, has()); diff != "" {
						t.Errorf("during (-want +got)\n%s", diff)
					}
					return tt.err
				})
				if !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
			})
			if diff := cmp.Diff(tt.after, has()); diff != "" {
				t.Errorf("after (-want +got)\n%s", diff)
			}
		})
	}
}

// What cannot be recorded is not changed, and is revoked all the same.
func TestRecordFails(t *testing.T) {
	log, s := newLog(t)
	s.Close()
	inRequest(t, func(ctx context.Context) {
		changed, revoked := false, false
		what := audit.Record{Action: audit.KeyRevoked, Target: audit.KeyTarget("k")}
		if err := log.Change(ctx, audit.AdminToken(ctx), what, func(context.Context) error { changed = true; return nil }); err == nil || changed {
			t.Errorf("changed %v, %v", changed, err)
		}
		if err := log.Revoke(ctx, audit.AdminToken(ctx), what, func(context.Context) error { revoked = true; return nil }); err != nil || !revoked {
			t.Errorf("revoked %v, %v", revoked, err)
		}
	})
}

// The log has each revocation that Redis could not record, and each that has failed, as a warning and in a flood too.
func TestRevocationsAreLogged(t *testing.T) {
	const n = 100
	for _, tt := range []struct {
		name   string
		err    error
		record bool // whether Redis takes records
		status int
		want   string
	}{
		{"applied and not recorded", nil, false, 204, `"not_audited":"key.revoked key:k"`},
		{"not confirmed and not recorded", store.ErrUnconfirmed, false, 503, `"not_audited":"key.revoked key:k"`},
		{"of unknown outcome and not recorded", store.ErrUnavailable, false, 503, `"not_audited":"key.revoked key:k"`},
		{"not confirmed", fmt.Errorf("the cause: %w", store.ErrUnconfirmed), true, 503, `"error":"the cause: `},
		{"of unknown outcome", fmt.Errorf("the cause: %w", store.ErrUnavailable), true, 503, `"error":"the cause: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, s := newLog(t)
			if !tt.record {
				s.Close()
			}
			var lines bytes.Buffer
			send := requests(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn}), func(ctx context.Context) error {
				what := audit.Record{Action: audit.KeyRevoked, Target: audit.KeyTarget("k")}
				return log.Revoke(ctx, audit.AdminToken(ctx), what, func(context.Context) error { return tt.err })
			})
			for range n {
				if got := send(); got != tt.status {
					t.Fatalf("got %d, want %d", got, tt.status)
				}
			}
			if got := strings.Count(lines.String(), tt.want); got != n {
				t.Errorf("%d of %d lines have %s", got, n, tt.want)
			}
		})
	}
}

// The copy has what Redis has, with its id, and also what Redis could not record, which is counted.
func TestCopy(t *testing.T) {
	log, s := newLog(t)
	var lines bytes.Buffer
	log.Copy, log.Metrics = &lines, metrics.New(metrics.Sources{})
	what := audit.Record{Action: audit.KeyRevoked, Target: audit.KeyTarget("k")}
	done := func(context.Context) error { return nil }
	inRequest(t, func(ctx context.Context) {
		_ = log.Change(ctx, audit.AdminToken(ctx), audit.Record{Action: audit.KeyCreated, Target: audit.KeyTarget("k")}, done)
		_ = log.Revoke(ctx, audit.AdminToken(ctx), what, done)
		log.Reject(ctx, audit.Unauthenticated(ctx, ""), audit.APIRejected, audit.Reason("malformed"))
	})
	recorded := append(events(t, s, store.EventFilter{}), events(t, s, store.EventFilter{Refusals: true})...)
	s.Close()
	inRequest(t, func(ctx context.Context) {
		_ = log.Change(ctx, audit.AdminToken(ctx), audit.Record{Action: audit.KeyRenamed, Target: audit.KeyTarget("k")}, done)
		_ = log.Revoke(ctx, audit.AdminToken(ctx), what, done)
		log.Reject(ctx, audit.Unauthenticated(ctx, ""), audit.APIRejected, audit.Reason("malformed"))
	})
	var got []adminapi.Event
	for line := range strings.Lines(lines.String()) {
		var e adminapi.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, e)
	}
	want := []adminapi.Event{audit.View(recorded[1]), audit.View(recorded[0]), audit.View(recorded[2])}
	if diff := cmp.Diff(want, got[:min(3, len(got))]); diff != "" {
		t.Errorf("recorded (-want +got)\n%s", diff)
	}
	var unrecorded []string
	for _, e := range got[3:] {
		if unrecorded = append(unrecorded, e.Action); e.ID != "" || e.At.IsZero() {
			t.Errorf("an event that Redis did not record is %+v", e)
		}
	}
	if diff := cmp.Diff([]string{"key.renamed", "key.renamed.failed", "key.revoked", "api.refused"}, unrecorded); diff != "" {
		t.Errorf("without an answer of Redis (-want +got)\n%s", diff)
	}
	w := httptest.NewRecorder()
	log.Metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if !strings.Contains(w.Body.String(), `mintkeep_audit_not_written_total{to="store"} 3`) {
		t.Error("the three events of what happened in any case are not counted")
	}
}

// A revocation that panics half-way may have been applied: the record says that its outcome is unknown.
func TestRevocationThatPanicsIsRecorded(t *testing.T) {
	log, s := newLog(t)
	inRequest(t, func(ctx context.Context) {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		what := audit.Record{Action: audit.UserDisabled, Target: audit.UserTarget("u")}
		_ = log.Revoke(ctx, audit.AdminToken(ctx), what, func(context.Context) error { panic("a damaged record") })
	})
	got := events(t, s, store.EventFilter{})
	if len(got) != 1 || got[0].Action != "user.disabled" || got[0].Detail["outcome"] != "unknown" {
		t.Errorf("got %+v, want one event of unknown outcome", got)
	}
}

// A path holds what the caller likes, a secret in the wrong place for one. The route is kept instead.
func TestRejectKeepsNoPath(t *testing.T) {
	log, s := newLog(t)
	key := &store.KeyRecord{ID: "key_1"}
	inRequest(t, func(ctx context.Context) {
		log.Reject(ctx, audit.Key(ctx, "usr_1", key, "read"), audit.APIRejected, map[string]string{"reason": "expired"})
	})
	want := []store.Event{{
		Actor: "user:usr_1", Via: "key_1", Action: "api.refused", Target: "/r/*rest", Address: "192.0.2.1", RequestID: "r-1",
		Detail: map[string]string{"reason": "expired"},
	}}
	got := events(t, s, store.EventFilter{Refusals: true})
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Event{}, "ID", "At", "ServerRequestID")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestActors(t *testing.T) {
	inRequest(t, func(ctx context.Context) {
		for want, by := range map[string]audit.Actor{
			"admin-token": audit.AdminToken(ctx), "admin-token-next": audit.NextAdminToken(ctx), "user:u": audit.User(ctx, "u"), "client:c": audit.Client(ctx, "c"), "": audit.Unauthenticated(ctx, ""),
		} {
			if by.Name != want || by.Address != "192.0.2.1" || by.RequestID != "r-1" || by.Via() != "" {
				t.Errorf("got %+v, want %q from 192.0.2.1", by, want)
			}
		}
	})
	if got := audit.Tool("mintkeep fence"); got != (audit.Actor{Name: "operator (mintkeep fence)"}) {
		t.Errorf("got %+v", got)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	if got := (audit.Record{}).Event(at, audit.Actor{}).At; !got.Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("recorded at %v", got)
	}
}

// Of several revocations those are counted that Redis has not recorded.
func TestSomeAreRecorded(t *testing.T) {
	b := storetest.Embedded(t)
	log := &audit.Log{Store: b.Open(t), Now: b.Clock.Now, Metrics: metrics.New(metrics.Sources{})}
	b.Do("SET", "mk:audit", "no stream")
	revoked := func(id, owner string) audit.Record {
		return audit.Record{Action: audit.KeyRevoked, Target: audit.KeyTarget(id), Detail: map[string]string{"user": owner}}
	}
	inRequest(t, func(ctx context.Context) {
		log.Revoked(ctx, audit.User(ctx, "usr_1"), revoked("key_1", "usr_1"), revoked("key_2", "usr_2"))
	})
	b.Do("DEL", "mk:audit")
	if got := events(t, log.Store, store.EventFilter{}); len(got) != 1 || got[0].Target != audit.KeyTarget("key_1") {
		t.Errorf("recorded: %+v", got)
	}
	w := httptest.NewRecorder()
	log.Metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if !strings.Contains(w.Body.String(), `mintkeep_audit_not_written_total{to="store"} 1`) {
		t.Error("the one event that is not recorded is not counted")
	}
}
