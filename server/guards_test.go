package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// guarded is a server with guards.
type guarded struct {
	*servertest.Server
	client servertest.Client
}

func guardedServer(t *testing.T, b *storetest.Backend) guarded {
	t.Helper()
	s := servertest.New(t, b)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Store.Run(ctx) })
	running.Go(func() { s.Server.RunGuards(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return guarded{s, s.Register(t, servertest.M{"client_id": "orders", "scope": "mintkeep:introspect"})}
}

// guard polls until it is stopped, which the test does itself: its requests end with the test.
func (s guarded) guard(t *testing.T, instance string, lease int) (stop func()) {
	t.Helper()
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		after := ""
		for {
			select {
			case <-ended:
				return
			default:
			}
			body := fmt.Sprintf(`{"after":%q,"wait":200,"nonce":"k3J9xQ2mZr0a","instance":%q,"lease":%d,"entries":3,"version":"0.1.0"}`, after, instance, lease)
			r := s.Do(t, http.MethodPost, "/oauth/changes", strings.NewReader(body), s.client.Basic(), servertest.Header("Content-Type", "application/json"))
			var told struct{ Cursor string }
			if r.Status == http.StatusOK && json.Unmarshal([]byte(r.Body), &told) == nil {
				after = told.Cursor
			}
		}
	}()
	return sync.OnceFunc(func() { close(ended); <-done })
}

func (s guarded) list(t *testing.T, query string) adminapi.GuardPage {
	t.Helper()
	return decoded[adminapi.GuardPage](t, s.Admin(t, http.MethodGet, "/admin/guards"+query, nil).Want(t, http.StatusOK, ""))
}

func decoded[T any](t *testing.T, r servertest.Response) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Body), &v); err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
	return v
}

// awaitStates waits until the guards have these states, in the order of the list.
func (s guarded) awaitStates(t *testing.T, want ...string) adminapi.GuardPage {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		page := s.list(t, "")
		got = nil
		for _, g := range page.Items {
			got = append(got, g.Instance+" "+g.State)
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return page
		}
	}
	t.Fatalf("the guards are %q, want %q", got, want)
	return adminapi.GuardPage{}
}

// One of two guards stops: it is late, and a minute later it is gone.
func TestGuardsAreListed(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := guardedServer(t, b)
	if page := s.list(t, ""); page.Items == nil || len(page.Items) > 0 || page.Truncated {
		t.Errorf("without guards the list is %+v", page)
	}
	defer s.guard(t, "orders-1", 1000)()
	stop := s.guard(t, "orders-2", 1000)
	defer stop()
	page := s.awaitStates(t, "orders-1 current", "orders-2 current")
	if g := page.Items[0]; g.ClientID != "orders" || g.Version != "0.1.0" || *g.LeaseMS != 1000 || g.LagMS == nil || *g.LagMS > 1000 || g.Entries != 3 || g.LastHeardAt.IsZero() {
		t.Errorf("a guard is listed as %+v", g)
	}
	stop()
	b.Clock.Advance(1200 * time.Millisecond)
	s.awaitStates(t, "orders-1 current", "orders-2 late")
	if late := s.list(t, "?state=late"); len(late.Items) != 1 || *late.Items[0].LagMS < 1200 {
		t.Errorf("late are %+v", late)
	}
	first := s.list(t, "?limit=1")
	if len(first.Items) != 1 || first.Items[0].Instance != "orders-1" || first.NextCursor == "" {
		t.Errorf("the first page is %+v", first)
	}
	if second := s.list(t, "?limit=1&cursor="+first.NextCursor); len(second.Items) != 1 || second.Items[0].Instance != "orders-2" || second.NextCursor != "" {
		t.Errorf("the second page is %+v", second)
	}
	for _, query := range []string{"state=early", "limit=0", "cursor=x", "state=late&cursor=" + first.NextCursor} {
		s.Admin(t, http.MethodGet, "/admin/guards?"+query, nil).Want(t, http.StatusBadRequest, "invalid_request")
	}
	b.Clock.Advance(time.Minute)
	s.awaitStates(t, "orders-1 current")
}

// A probe is passed by the guard that polls, and not by the one that has stopped.
func TestGuardsAreProbed(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := guardedServer(t, b)
	defer s.guard(t, "orders-1", 1000)()
	stop := s.guard(t, "orders-2", 1000)
	defer stop()
	s.awaitStates(t, "orders-1 current", "orders-2 current")
	stop()
	begun := s.Admin(t, http.MethodPost, "/admin/guards/probe", nil).Want(t, http.StatusCreated, "")
	id := decoded[adminapi.Probe](t, begun).ID
	path, isOurs := strings.CutPrefix(begun.Header.Get("Location"), servertest.Issuer)
	if !isOurs || path != "/admin/guards/probe/"+id {
		t.Errorf("the probe is at %q", begun.Header.Get("Location"))
	}
	var p adminapi.ProbeProgress
	for deadline := time.Now().Add(time.Minute); p.Passed < 1 && time.Now().Before(deadline); {
		p = decoded[adminapi.ProbeProgress](t, s.Admin(t, http.MethodGet, path+"?wait=100", nil).Want(t, http.StatusOK, ""))
	}
	if p.ID != id || p.Complete || p.Guards != 2 || p.Passed != 1 || p.PassedMS == nil || p.Items[0].State != "waiting" || p.Items[0].Instance != "orders-2" {
		t.Errorf("while the lease of the one that stopped runs: %+v", p)
	}
	b.Clock.Advance(1300 * time.Millisecond)
	p = decoded[adminapi.ProbeProgress](t, s.Admin(t, http.MethodGet, path+"?wait=2000", nil).Want(t, http.StatusOK, ""))
	if !p.Complete || p.Silent != 1 || p.Items[0].State != "silent" || p.Items[0].LastHeardMS < 1300 || p.Items[0].PassedMS != nil || p.Items[1].State != "passed" {
		t.Errorf("behind it: %+v", p)
	}
	for _, wait := range []string{"-1", "2001", "x", "1.5"} {
		s.Admin(t, http.MethodGet, path+"?wait="+wait, nil).Want(t, http.StatusBadRequest, "invalid_request")
	}
	s.Admin(t, http.MethodGet, "/admin/guards/probe/probe_none", nil).Want(t, http.StatusNotFound, "not_found")
	if events := s.Admin(t, http.MethodGet, "/admin/audit?target=guards", nil).JSON(t)["items"].([]any); len(events) != 1 {
		t.Errorf("the probe left the events %v", events)
	}
}

func TestGuardsWithoutFeed(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), "MINTKEEP_FEED=off")
	for _, r := range []servertest.Response{
		s.Admin(t, http.MethodGet, "/admin/guards", nil), s.Admin(t, http.MethodPost, "/admin/guards/probe", nil),
		s.Admin(t, http.MethodGet, "/admin/guards/probe/probe_x", nil),
	} {
		if r.Want(t, http.StatusNotFound, "not_found"); !strings.Contains(r.Body, "MINTKEEP_FEED is off") {
			t.Errorf("got %s", r.Body)
		}
	}
}
