package server_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestKeyStates: each key has one state, by which it is listed, and notices tell its owner of those that are to be looked at.
func TestKeyStates(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		u, stranger := users(t, s)
		now := b.Clock.Now()
		in := func(d time.Duration) servertest.M { return servertest.M{"expires_at": now.Add(d).Format(time.RFC3339)} }
		by, foreign := manager(t, s, u), manager(t, s, stranger)
		ids := map[string]string{"active": by.ID}
		create := func(state string, m servertest.M) servertest.Key {
			k := s.Key(t, u, m)
			ids[state] = k.ID
			return k
		}
		create("expired", in(time.Minute))
		rotated := create("rotated", servertest.M{})
		successor := s.NewKey(t, s.Admin(t, "POST", "/admin/keys/"+rotated.ID+"/rotate", servertest.M{"overlap": "1m"}))
		patchKey(t, s, by, successor, servertest.M{"expires_at": now.Add(24 * time.Hour).Format(time.RFC3339)})
		ids["expiring"] = successor.ID
		s.Admin(t, "PATCH", "/admin/keys/"+create("disabled", in(time.Hour)).ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
		s.Admin(t, "DELETE", "/admin/keys/"+create("revoked", in(time.Hour)).ID, nil).Want(t, http.StatusNoContent, "")
		leaked := create("leaked", in(time.Hour))
		s.Admin(t, "POST", "/admin/keys/report", servertest.M{"credentials": []string{leaked.Plain}}).Want(t, http.StatusOK, "")
		b.Clock.Advance(2 * time.Minute)

		list := func(by servertest.Key, query string) (page servertest.M, states []string) {
			t.Helper()
			page = s.API(t, "GET", apiKeysPath+query, by.Plain, nil).Want(t, http.StatusOK, "").JSON(t)
			for _, item := range page["items"].([]any) {
				view := item.(servertest.M)
				states = append(states, view["state"].(string))
				if ids[view["state"].(string)] != view["id"] {
					t.Errorf("%s is listed as %s", view["id"], view["state"])
				}
			}
			slices.Sort(states)
			return page, states
		}
		for _, state := range store.KeyStates() {
			if _, got := list(by, "?state="+string(state)); !slices.Equal(got, []string{string(state)}) {
				t.Errorf("%s: got %v", state, got)
			}
		}
		for query, want := range map[string][]string{
			"?state=live":  {"active", "disabled", "expiring"},
			"?state=ended": {"expired", "leaked", "revoked", "rotated"},
			"?state=":      {"active", "disabled", "expired", "expiring", "leaked", "revoked", "rotated"},
		} {
			if _, got := list(by, query); !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", query, got, want)
			}
		}
		s.API(t, "GET", apiKeysPath+"?state=inactive", by.Plain, nil).Want(t, http.StatusBadRequest, "invalid_request")

		page, _ := list(by, "?limit=1")
		want := []any{
			servertest.M{"key_id": leaked.ID, "kind": "leaked", "at": now.Format(time.RFC3339Nano)},
			servertest.M{"key_id": successor.ID, "kind": "expiring", "at": now.Add(24 * time.Hour).Format(time.RFC3339)},
		}
		if diff := cmp.Diff(want, page["notices"]); diff != "" {
			t.Errorf("notices (-want +got)\n%s", diff)
		}
		got := s.API(t, "GET", apiKeysPath, foreign.Plain, nil).Want(t, http.StatusOK, "").JSON(t)
		if diff := cmp.Diff([]any{}, got["notices"]); diff != "" {
			t.Errorf("notices of another user (-want +got)\n%s", diff)
		}
	})
}

// TestSeveralKeysRevoked: all of several keys are revoked by one request, or none is.
func TestSeveralKeysRevoked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, _ := introspectors(t, s)
		u, stranger := users(t, s)
		by := manager(t, s, u)
		one, off, gone, foreign := s.Key(t, u, servertest.M{}), s.Key(t, u, servertest.M{"disabled": true}), s.Key(t, u, servertest.M{}), s.Key(t, stranger, servertest.M{})
		s.Admin(t, "DELETE", "/admin/keys/"+gone.ID, nil).Want(t, http.StatusNoContent, "")
		revoke := func(ids ...string) servertest.Response {
			t.Helper()
			return s.API(t, "POST", apiKeysPath+"/revoke", by.Plain, servertest.M{"ids": ids, "reason": " lost "})
		}
		for what, ids := range map[string][]string{
			"another user's": {one.ID, foreign.ID}, "no such key": {one.ID, store.NewKeyID(b.Clock.Now())}, "not an id": {one.ID, one.Plain},
		} {
			if got := revoke(ids...).Want(t, http.StatusNotFound, "not_found"); got.JSON(t)["error_description"] != "Not all of the keys were found; nothing was revoked" {
				t.Errorf("%s: %s", what, got.Body)
			}
		}
		for _, ids := range []any{nil, []string{}, slices.Repeat([]string{one.ID}, 101), one.ID} {
			wrongMember(t, s.API(t, "POST", apiKeysPath+"/revoke", by.Plain, servertest.M{"ids": ids}), "invalid_request", "ids")
		}
		accepted(t, "not all were found", []*servertest.Server{s, other}, rs, one, true)
		want := servertest.M{"revoked": 2.0, "keys": []any{
			servertest.M{"id": gone.ID, "state": "revoked"}, servertest.M{"id": one.ID, "state": "active"}, servertest.M{"id": off.ID, "state": "disabled"},
		}}
		if diff := cmp.Diff(want, revoke(gone.ID, one.ID, off.ID, one.ID).Want(t, http.StatusOK, "").JSON(t)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		accepted(t, "revoked", []*servertest.Server{s, other}, rs, one, false)
		for _, k := range []servertest.Key{one, off} {
			end, _ := other.Admin(t, "GET", "/admin/keys/"+k.ID, nil).JSON(t)["ended"].(servertest.M)
			if end["reason"] != "lost" || end["by"] != "user:"+u.ID {
				t.Errorf("its end is %v", end)
			}
			if diff := cmp.Diff([]string{"key.created", "key.revoked"}, actionsWith(t, s, k)); diff != "" {
				t.Errorf("audited (-want +got)\n%s", diff)
			}
		}
		if diff := cmp.Diff([]string{"key.created", "key.revoked"}, actionsWith(t, s, gone)); diff != "" {
			t.Errorf("what was revoked before is audited (-want +got)\n%s", diff)
		}
		got := s.Admin(t, "POST", "/admin/keys/revoke", servertest.M{"ids": []string{foreign.ID, by.ID}}).Want(t, http.StatusOK, "").JSON(t)
		if got["revoked"] != 2.0 {
			t.Errorf("an operator gets %v", got)
		}
		accepted(t, "revoked by an operator", []*servertest.Server{s, other}, rs, foreign, false)
	})
}
