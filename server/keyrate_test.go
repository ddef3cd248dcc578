package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// MINTKEEP_KEY_CREATE_RATE limits what one user creates and rotates for themselves: neither their revocations, nor what
// operators create for them, nor another user.
func TestKeyCreateRate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b, "MINTKEEP_KEY_CREATE_RATE=5/m"), servertest.New(t, b, "MINTKEEP_KEY_CREATE_RATE=5/m")
		ada, bob := s.User(t, servertest.M{"email": "ada@example.com"}), s.User(t, servertest.M{"email": "bob@example.com"})
		by, other := s.Key(t, ada, servertest.M{"scope": "read mintkeep:keys"}), s.Key(t, bob, servertest.M{"scope": "read mintkeep:keys"})
		create := func(at *servertest.Server, k servertest.Key) servertest.Response {
			r := at.Admin(t, http.MethodPost, "/api/v1/keys", servertest.M{"name": "one"}, servertest.Bearer(k.Plain))
			if r.Status == http.StatusCreated {
				at.Secret(r.JSON(t)["key"].(string))
			}
			return r
		}
		rotate := func(id string) servertest.Response {
			r := s.Admin(t, http.MethodPost, "/api/v1/keys/"+id+"/rotate", servertest.M{}, servertest.Bearer(by.Plain))
			if r.Status == http.StatusCreated {
				s.Secret(r.JSON(t)["key"].(string))
			}
			return r
		}
		var last string
		for i := range 4 {
			last = create([]*servertest.Server{s, replica}[i%2], by).Want(t, http.StatusCreated, "").JSON(t)["id"].(string)
		}
		s.Admin(t, http.MethodPost, "/api/v1/keys", servertest.M{"name": ""}, servertest.Bearer(by.Plain)).Want(t, http.StatusBadRequest, "invalid_request")
		rotate(last).Want(t, http.StatusCreated, "")
		wantTooMany(t, create(s, by))
		wantTooMany(t, create(replica, by))
		wantTooMany(t, rotate(by.ID))
		create(s, other).Want(t, http.StatusCreated, "")
		s.Key(t, ada, servertest.M{"scope": "read"})
		s.Do(t, http.MethodDelete, "/api/v1/keys/"+last, http.NoBody, servertest.Bearer(by.Plain)).Want(t, http.StatusNoContent, "")
		b.Clock.Advance(time.Minute)
		create(s, by).Want(t, http.StatusCreated, "")
	})
}
