package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// lateReplicas are two servers on one Redis. What the first sends to Redis can be held.
func lateReplicas(t *testing.T) (p *storetest.LateProxy, b *storetest.Backend, late, other *servertest.Server) {
	t.Helper()
	redis := storetest.Redis(t)
	b, p = redis.Backend(t), storetest.NewLateProxy(t, redis)
	return p, b, servertest.New(t, b.Through(p)), servertest.New(t, b)
}

// A scope that was added without an answer, and taken away with one, is not granted, though the change arrives then.
func TestLatePatch(t *testing.T) {
	t.Parallel()
	p, _, late, other := lateReplicas(t)
	c := other.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
	held := p.Hold(storetest.Command("hset", "mk:c:billing"))
	late.Admin(t, http.MethodPatch, clientsPath+"/billing", servertest.M{"scope": "read write"}).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	held.Await()
	other.Admin(t, http.MethodPatch, clientsPath+"/billing", servertest.M{"scope": "read"}).Want(t, http.StatusOK, "")
	delivered := held.Release()
	for which, s := range map[string]*servertest.Server{"late": late, "other": other} {
		if got := s.Post(t, "/oauth/token", grantCC+"&scope=write", c.Basic()); got.Status != http.StatusBadRequest {
			t.Errorf("%s: a scope that was taken away: %d %s (%v)", which, got.Status, got.Body, delivered)
		}
	}
}

// A token that is issued while its client has no generation is worth no more than the client is when it is answered.
func TestLateGeneration(t *testing.T) {
	t.Parallel()
	patch := func(member string, value any) func(*testing.T, *servertest.Server) {
		return func(t *testing.T, s *servertest.Server) {
			s.Admin(t, http.MethodPatch, clientsPath+"/billing", servertest.M{member: value}).Want(t, http.StatusOK, "")
		}
	}
	for name, changes := range map[string][]func(*testing.T, *servertest.Server){
		"narrowed": {patch("scope", "read")},
		"disabled, narrowed and enabled": {
			patch("disabled", true), patch("scope", "read"), patch("disabled", false),
		},
		"registered again": {func(t *testing.T, s *servertest.Server) {
			s.Admin(t, http.MethodDelete, clientsPath+"/billing", nil).Want(t, http.StatusNoContent, "")
			s.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, b, late, other := lateReplicas(t)
			c := other.Register(t, servertest.M{"client_id": "billing", "scope": "read write"})
			caller := other.Register(t, servertest.M{"scope": "mintkeep:introspect"})
			b.Do("HDEL", "mk:c:billing", "gen") // as a revocation of tokens that could not draw the next one
			held := p.Hold(storetest.Command("watch", "mk:c:billing"))
			answered := make(chan servertest.Response)
			go func() { answered <- late.Post(t, "/oauth/token", grantCC, c.Basic()) }()
			held.Await()
			for _, change := range changes {
				change(t, other)
			}
			held.Release()
			got := <-answered
			if got.Status != http.StatusOK {
				return
			}
			token := got.JSON(t)["access_token"].(string)
			about := other.Introspect(t, caller, token)
			scope, _ := about["scope"].(string)
			if about["active"] == true && slices.Contains(strings.Fields(scope), "write") {
				t.Errorf("the client has the scope read, and a token of it is %v", about)
			}
		})
	}
}
