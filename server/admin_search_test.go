package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// q finds clients, users and keys by the beginning of any word of a name or an id, in any case.
func TestAdminSearch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		for id, name := range map[string]string{
			"payments-api": "Payments", "eu.payments_worker": "Worker of the EU", "Mail~out": "Ünal's mail sender", "other": "",
		} {
			s.Register(t, servertest.M{"client_id": id, "client_name": name})
		}
		ada := s.User(t, servertest.M{"email": "ada.lovelace@analytics.example", "name": "Ada King-Noel"})
		bob := s.User(t, servertest.M{"email": "bob@example.com", "name": "Bob"})
		deploy := s.Key(t, ada, servertest.M{"name": "CI deploy (eu-west)"})
		s.Key(t, bob, servertest.M{"name": "laptop"})

		for _, tt := range []struct {
			path, member string
			finds        map[string][]string
		}{
			{"/admin/clients", "client_id", map[string][]string{
				"pay": {"eu.payments_worker", "payments-api"}, "PAYMENTS": {"eu.payments_worker", "payments-api"}, "worker": {"eu.payments_worker"},
				"api": {"payments-api"}, "of the e": {"eu.payments_worker"}, "MAIL~": {"Mail~out"}, "sender": {"Mail~out"}, "üNAL": {"Mail~out"},
				"ayments": nil, "out": nil, "orker of": nil, "-api": nil,
			}},
			{usersPath, "email", map[string][]string{
				"love": {"ada.lovelace@analytics.example"}, "ANALYTICS.ex": {"ada.lovelace@analytics.example"}, "noel": {"ada.lovelace@analytics.example"},
				"king-n": {"ada.lovelace@analytics.example"}, "bob": {"bob@example.com"}, "com": {"bob@example.com"},
				ada.ID: {"ada.lovelace@analytics.example"}, strings.ToUpper(ada.ID): {"ada.lovelace@analytics.example"},
				ada.ID[4:14]: {"ada.lovelace@analytics.example"}, "ovelace": nil, ada.ID[5:15]: nil,
			}},
			{keysPath, "name", map[string][]string{
				"dep": {"CI deploy (eu-west)"}, "DEPLOY (EU": {"CI deploy (eu-west)"}, "west": {"CI deploy (eu-west)"}, "lap": {"laptop"},
				deploy.ID[4:]: {"CI deploy (eu-west)"}, "eploy": nil, "top": nil,
			}},
		} {
			for q, want := range tt.finds {
				for _, limit := range []string{"", "&limit=1"} {
					got := walk(t, s, tt.path, "q="+url.QueryEscape(q)+limit, tt.member)
					slices.Sort(got)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s?q=%s%s (-want +got)\n%s", tt.path, q, limit, diff)
					}
				}
			}
		}
		if got := walk(t, s, keysPath, "user=ada.LOVELACE@analytics.example&q=west", "user_email"); !slices.Equal(got, []string{"ada.lovelace@analytics.example"}) {
			t.Errorf("by owner and word: got %q", got)
		}
	})
}

// A list of keys says whose each is, also when the owner has another address now, or is deleted.
func TestAdminKeyOwners(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		u := s.User(t, servertest.M{"email": "ada@example.com", "name": "Ada"})
		key := s.Key(t, u, nil)
		owner := func(what string, want ...any) {
			t.Helper()
			page := s.Admin(t, http.MethodGet, keysPath+"?user="+u.ID, nil).Want(t, http.StatusOK, "").JSON(t)
			listed, _ := page["items"].([]any)[0].(servertest.M)
			shown := s.Admin(t, http.MethodGet, keysPath+"/"+key.ID, nil).Want(t, http.StatusOK, "").JSON(t)
			for _, v := range []servertest.M{listed, shown} {
				if diff := cmp.Diff(want, []any{v["user"], v["user_email"]}); diff != "" {
					t.Errorf("%s (-want +got)\n%s", what, diff)
				}
			}
		}
		owner("created", u.ID, "ada@example.com")
		s.Admin(t, http.MethodPatch, usersPath+"/"+u.ID, servertest.M{"email": "ada@example.org"}).Want(t, http.StatusOK, "")
		owner("moved", u.ID, "ada@example.org")
		s.Admin(t, http.MethodDelete, usersPath+"/"+u.ID, nil).Want(t, http.StatusNoContent, "")
		owner("deleted", u.ID, nil)
	})
}

// The audit log is filtered by the email of a user, with or without "user:" before it.
func TestAuditByEmail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		ada := s.User(t, servertest.M{"email": "ada@example.com", "role": "operator"})
		bob := s.User(t, servertest.M{"email": "bob@example.com"})
		op := s.Key(t, ada, servertest.M{"scope": "mintkeep:admin"})
		s.Admin(t, http.MethodPatch, usersPath+"/"+bob.ID, servertest.M{"disabled": true}, servertest.Bearer(op.Plain)).Want(t, http.StatusOK, "")

		for query, want := range map[string][]string{
			"actor=ada@example.com": {"user.disabled"}, "actor=user:ADA@example.com": {"user.disabled"}, "actor=user:" + ada.ID: {"user.disabled"},
			"target=bob@example.com": {"user.disabled", "user.created"}, "target=user:bob@example.com&limit=1": {"user.disabled", "user.created"},
			"actor=ada@example.com&target=bob@example.com": {"user.disabled"}, "actor=bob@example.com": nil, "target=nobody@example.com": nil,
			"actor=user:nobody@example.com": nil, "actor=@": nil, "target=client:a@b": nil,
		} {
			if diff := cmp.Diff(want, walk(t, s, "/admin/audit", query, "action")); diff != "" {
				t.Errorf("%s (-want +got)\n%s", query, diff)
			}
		}
	})
}

// TestAdminRotateKey is the rotation of any user's key by an operator.
func TestAdminRotateKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		both := []*servertest.Server{other, s}
		rs, _ := introspectors(t, s)
		u := s.User(t, servertest.M{"email": "owner@example.com"})
		rotate := func(key servertest.Key, body any, edits ...servertest.Edit) servertest.Response {
			return s.Admin(t, http.MethodPost, keysPath+"/"+key.ID+"/rotate", body, edits...)
		}

		old := s.Key(t, u, servertest.M{"name": "ci", "scope": "read mintkeep:keys"})
		answer := rotate(old, servertest.M{"overlap": "1h"}).Want(t, http.StatusCreated, "")
		next := s.NewKey(t, answer)
		made := answer.JSON(t)
		previous, _ := made["previous"].(servertest.M)
		if made["name"] != "ci" || made["scope"] != "read mintkeep:keys" || previous["id"] != old.ID ||
			answer.Header.Get("Location") != servertest.Issuer+keysPath+"/"+next.ID {
			t.Errorf("got %v at %s", made, answer.Header.Get("Location"))
		}
		shown := other.Admin(t, http.MethodGet, keysPath+"/"+next.ID, nil).Want(t, http.StatusOK, "").JSON(t)
		if shown["user"] != u.ID {
			t.Errorf("the successor is %v's, want the owner's", shown["user"])
		}
		accepted(t, "the old key, in the overlap", both, rs, old, true)
		accepted(t, "the successor", both, rs, next, true)
		rotate(old, nil).Want(t, http.StatusConflict, "conflict")
		if diff := cmp.Diff([]string{"key.created", "key.rotated"}, actionsOn(t, s, "key:"+old.ID)); diff != "" {
			t.Errorf("audited (-want +got):\n%s", diff)
		}

		last := s.NewKey(t, rotate(next, servertest.M{"overlap": "0s"}).Want(t, http.StatusCreated, ""))
		accepted(t, "the old key, without an overlap", both, rs, next, false)
		accepted(t, "its successor", both, rs, last, true)

		for _, overlap := range []any{"-1s", "721h", "soon", 24} {
			rotate(last, servertest.M{"overlap": overlap}).Want(t, http.StatusBadRequest, "invalid_request")
		}
		rotate(servertest.Key{ID: "key_0"}, nil).Want(t, http.StatusNotFound, "not_found")
		s.Admin(t, http.MethodDelete, keysPath+"/"+last.ID, nil).Want(t, http.StatusNoContent, "")
		rotate(last, nil).Want(t, http.StatusConflict, "conflict")

		// A key that rotates another gives no more than it has itself.
		operator := s.User(t, servertest.M{"email": "op@example.com", "role": "operator"})
		by := servertest.Bearer(s.Key(t, operator, servertest.M{"scope": "read mintkeep:admin"}).Plain)
		// Of a key with Mintkeep's own scopes alone, the successor would have none: the old key stays.
		own := s.Key(t, operator, servertest.M{"scope": "mintkeep:admin"})
		rotate(own, servertest.M{"overlap": "0s"}, by).Want(t, http.StatusBadRequest, "invalid_scope")
		s.Get(t, "/admin/users", servertest.Bearer(own.Plain)).Want(t, http.StatusOK, "")
		wide := s.Key(t, u, servertest.M{"scope": "read write"})
		rotate(wide, nil, by).Want(t, http.StatusBadRequest, "invalid_scope")
		accepted(t, "the key that could not be rotated", both, rs, wide, true)
		narrow := rotate(s.Key(t, u, servertest.M{"scope": "read mintkeep:keys"}), nil, by).Want(t, http.StatusCreated, "")
		s.NewKey(t, narrow)
		if got := narrow.JSON(t)["scope"]; got != "read" {
			t.Errorf("the successor has %v, want read", got)
		}
	})
}

// A rotation by an operator is not limited as the owner's own are.
func TestAdminRotateKeyHasNoRate(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t), "MINTKEEP_KEY_CREATE_RATE=1/h")
	u := s.User(t, servertest.M{"email": "owner@example.com"})
	key := s.Key(t, u, nil)
	for range 3 {
		key = s.NewKey(t, s.Admin(t, http.MethodPost, keysPath+"/"+key.ID+"/rotate", nil).Want(t, http.StatusCreated, ""))
	}
}
