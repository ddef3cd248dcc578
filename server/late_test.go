package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// lateReplicas are two servers on one Redis. What the first sends to Redis can be held. Then that server waits if it is patient, and
// otherwise gives up as soon as a real one does.
func lateReplicas(t *testing.T, patient bool) (p *storetest.LateProxy, b *storetest.Backend, late, other *servertest.Server) {
	t.Helper()
	redis := storetest.Redis(t)
	b, p = redis.Backend(t), storetest.NewLateProxy(t, redis)
	behind := b.Through(p)
	if patient {
		behind.Patient()
	}
	return p, b, servertest.New(t, behind), servertest.New(t, b)
}

// giveUp sends a request that is answered 503 while a piece of it is held. On a busy machine an earlier piece may get no answer in
// time: then the request is sent again.
func giveUp(t *testing.T, held *storetest.Held, request func() servertest.Response) {
	t.Helper()
	for range 20 {
		request().Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		select {
		case <-held.Arrived():
			return
		default:
		}
	}
	held.Await()
}

// untilAnswered repeats a request while it is answered 503, as a server that gives up may do on a busy machine.
func untilAnswered(request func() servertest.Response) servertest.Response {
	got := request()
	for i := 0; got.Status == http.StatusServiceUnavailable && i < 20; i++ {
		got = request()
	}
	return got
}

// A change that was answered 503 is not made after a patch that was answered 200, though the patch found nothing to
// change. It is so too where the server may not close its connections at Redis.
func TestLatePatch(t *testing.T) {
	t.Parallel()
	for _, rights := range []string{"+client|kill", "-client|kill"} {
		t.Run(rights, func(t *testing.T) {
			t.Parallel()
			p, b, late, other := lateReplicas(t, false)
			b.Do("ACL", "SETUSER", "default", rights)
			c := other.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
			u := other.User(t, servertest.M{"email": "ada@example.com", "name": "Ada"})
			k := other.Key(t, u, servertest.M{"name": "key", "scope": "read write"})
			d := store.DigestOf(k.Plain)
			for _, tt := range []struct {
				path, member    string
				wrong, settled  any
				command, record string
			}{
				{clientsPath + "/billing", "scope", "read write", "read", "hset", "mk:c:billing"},
				{"/admin/users/" + u.ID, "email", "thief@example.com", "ada@example.com", "hset", "mk:p:" + u.ID},
				{"/admin/keys/" + k.ID, "disabled", true, false, "set", "mk:t:" + string(d[:])},
				{"/admin/keys/" + k.ID, "name", "wrong", "key", "set", "mk:t:" + string(d[:])},
				{"/admin/keys/" + k.ID, "description", "wrong", "", "set", "mk:k:" + k.ID},
			} {
				held := p.Hold(storetest.Command(tt.command, tt.record))
				giveUp(t, held, func() servertest.Response {
					return late.Admin(t, http.MethodPatch, tt.path, servertest.M{tt.member: tt.wrong})
				})
				other.Admin(t, http.MethodPatch, tt.path, servertest.M{tt.member: tt.settled}).Want(t, http.StatusOK, "")
				delivered := held.Release()
				for which, s := range map[string]*servertest.Server{"late": late, "other": other} {
					got := untilAnswered(func() servertest.Response { return s.Admin(t, http.MethodGet, tt.path, nil) }).JSON(t)[tt.member]
					if got == nil { // left out
						got = ""
					}
					if got != tt.settled {
						t.Errorf("%s: %s is %q, want %q as the last patch has it (%v)", which, tt.member, got, tt.settled, delivered)
					}
				}
			}
			got := untilAnswered(func() servertest.Response { return late.Post(t, "/oauth/token", grantCC+"&scope=write", c.Basic()) })
			if got.Status != http.StatusBadRequest {
				t.Errorf("a scope that was taken away: %d %s", got.Status, got.Body)
			}
		})
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
		"deleted": {func(t *testing.T, s *servertest.Server) {
			s.Admin(t, http.MethodDelete, clientsPath+"/billing", nil).Want(t, http.StatusNoContent, "")
		}},
		"registered again": {func(t *testing.T, s *servertest.Server) {
			s.Admin(t, http.MethodDelete, clientsPath+"/billing", nil).Want(t, http.StatusNoContent, "")
			s.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, b, late, other := lateReplicas(t, true)
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
				if got.Status != http.StatusServiceUnavailable {
					got.Want(t, http.StatusUnauthorized, "invalid_client")
				}
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

// A rotation without overlap revokes at once, though the clock is set back while it is made.
func TestRotationWhileTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	p, b, late, other := lateReplicas(t, true)
	c := other.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
	u := other.User(t, servertest.M{"email": "ada@example.com"})
	k := other.Key(t, u, servertest.M{"name": "old", "scope": "read"})
	for what, tt := range map[string]struct {
		watched, path string
		old           func() servertest.Response
	}{
		"secret": {"mk:c:billing", clientsPath + "/billing/secrets", func() servertest.Response { return other.Post(t, "/oauth/token", grantCC, c.Basic()) }},
		"key":    {"mk:t:", "/admin/keys/" + k.ID + "/rotate", func() servertest.Response { return other.Me(t, k.Plain) }},
	} {
		held := p.Hold(storetest.Command("watch", tt.watched))
		done := make(chan servertest.Response, 1)
		go func() { done <- late.Admin(t, http.MethodPost, tt.path, servertest.M{"overlap": "0s"}) }()
		held.Await()
		b.Clock.Advance(-10 * time.Minute)
		held.Release()
		(<-done).Want(t, http.StatusCreated, "")
		if got := tt.old(); got.Status != http.StatusUnauthorized {
			t.Errorf("the old %s: %d %s", what, got.Status, got.Body)
		}
		b.Clock.Advance(10 * time.Minute)
	}
}

// A change whose record in the audit log got no answer is not made. The log says so, though the record is there.
func TestLateAuditRecord(t *testing.T) {
	t.Parallel()
	p, _, late, other := lateReplicas(t, false)
	other.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
	held := p.HoldAnswer(storetest.Command("xadd", "mk:audit"))
	giveUp(t, held, func() servertest.Response {
		return late.Admin(t, http.MethodPatch, clientsPath+"/billing", servertest.M{"scope": "write"})
	})
	if got := other.Admin(t, http.MethodGet, clientsPath+"/billing", nil).JSON(t)["scope"]; got != "read" {
		t.Errorf("the scope is %q", got)
	}
	want := []string{"client.created", "client.updated", "client.updated.failed"}
	if got := actionsOn(t, other, "client:billing"); !slices.Equal(got, want) {
		t.Errorf("recorded are %q, want %q", got, want)
	}
}

// Of two patches of a key at once each keeps what the other has changed, at whichever step of the first the second is answered.
// A patch that names a member decides it, though it is as the patch has read it.
func TestPatchesOfAKeyAtOnce(t *testing.T) {
	t.Parallel()
	p, _, late, other := lateReplicas(t, true)
	u := other.User(t, servertest.M{"email": "ada@example.com"})
	for step, watched := range map[string]string{"before the record": "mk:t:", "before the description": "mk:k:"} {
		for what, tt := range map[string]struct {
			first servertest.M
			want  string
		}{
			"another member":        {servertest.M{"rate_limit": "10/m"}, "new"},
			"the members as before": {servertest.M{"rate_limit": "10/m", "name": "old", "description": "old"}, "old"},
		} {
			k := other.Key(t, u, servertest.M{"name": "old", "description": "old", "rate_limit": "10/m"})
			path := "/admin/keys/" + k.ID
			held := p.Hold(storetest.Command("watch", watched))
			answered := make(chan servertest.Response, 1)
			go func() { answered <- late.Admin(t, http.MethodPatch, path, tt.first) }()
			held.Await()
			other.Admin(t, http.MethodPatch, path, servertest.M{"name": "new", "description": "new"}).Want(t, http.StatusOK, "")
			held.Release()
			answer := (<-answered).Want(t, http.StatusOK, "").JSON(t)
			shown := other.Admin(t, http.MethodGet, path, nil).JSON(t)
			found := walk(t, other, "/admin/keys", "q="+tt.want, "id")
			record, err := other.Store.Credential(t.Context(), store.DigestOf(k.Plain))
			if err != nil {
				t.Fatal(err)
			}
			other.Admin(t, http.MethodDelete, path, nil).Want(t, http.StatusNoContent, "")
			revoked := other.Admin(t, http.MethodGet, path, nil).JSON(t)
			for where, got := range map[string]any{
				"the answer's name": answer["name"], "the answer's description": answer["description"], "the name": shown["name"],
				"the description": shown["description"], "the record's name": record.Key.Name, "the name when it is revoked": revoked["name"],
			} {
				if got != tt.want {
					t.Errorf("%s, %s: %s is %v, want %s", what, step, where, got, tt.want)
				}
			}
			if !slices.Contains(found, k.ID) {
				t.Errorf("%s, %s: it is not found by its name", what, step)
			}
		}
	}
}

// A rename of which only the first step was made holds: the name in the key's record is shown, and any name can be given next.
func TestHalfARename(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	for _, patch := range []servertest.M{{"name": "old"}, {"name": "new"}, {"name": "third"}, {"rate_limit": "10/m"}} {
		k := s.Key(t, u, servertest.M{"name": "old"})
		path := "/admin/keys/" + k.ID
		before := b.Do("GET", "mk:k:"+k.ID)
		s.Admin(t, http.MethodPatch, path, servertest.M{"name": "new"}).Want(t, http.StatusOK, "")
		b.Do("SET", "mk:k:"+k.ID, before)
		if got := s.Admin(t, http.MethodGet, path, nil).JSON(t)["name"]; got != "new" {
			t.Errorf("after half a rename its name is %v", got)
		}
		want := "new"
		if name, ok := patch["name"].(string); ok {
			want = name
		}
		s.Admin(t, http.MethodPatch, path, patch).Want(t, http.StatusOK, "")
		if got := walk(t, s, "/admin/keys", "q="+want, "id"); !slices.Contains(got, k.ID) {
			t.Errorf("%v: it is not found as %s", patch, want)
		}
		s.Admin(t, http.MethodDelete, path, nil).Want(t, http.StatusNoContent, "")
		if got := s.Admin(t, http.MethodGet, path, nil).JSON(t)["name"]; got != want {
			t.Errorf("%v: its name is %v, want %s", patch, got, want)
		}
		for _, name := range b.Dump(t)["mk:keys:name"] {
			if entry, is := strings.CutSuffix(name, "\x00"+k.ID); is && entry != want {
				t.Errorf("%v: the index has it as %s", patch, entry)
			}
		}
	}
}
