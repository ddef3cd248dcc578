package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A rotation gives back no right that a demotion took away.
func TestRotationAddsNoRights(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		u := s.User(t, servertest.M{"email": "op@example.com", "role": "operator"})
		v := visit(t, s).redeem(s.Invite(t, u), secret)
		key := s.Key(t, u, servertest.M{"name": "k", "scope": "read mintkeep:admin"})
		s.Get(t, "/admin/stats", servertest.Bearer(key.Plain)).Want(t, http.StatusOK, "")
		for _, role := range []string{"developer", "operator"} {
			s.Admin(t, http.MethodPatch, "/admin/users/"+u.ID, servertest.M{"role": role}).Want(t, http.StatusOK, "")
		}
		path := "/settings/keys/" + key.ID
		made := v.submit(v.get(path), path+"/rotate", "overlap", "24h").want(http.StatusOK)
		_, rest, _ := strings.Cut(made.Body, `value="mk_`)
		plain, _, _ := strings.Cut(rest, `"`)
		plain = "mk_" + plain
		s.Secret(plain)
		s.Me(t, plain).Want(t, http.StatusOK, "")
		s.Get(t, "/admin/stats", servertest.Bearer(plain)).Want(t, http.StatusForbidden, "insufficient_scope")
	})
}

// A rotation that stopped half-way, so that its successor was never shown, may be repeated. One whose successor was
// rotated in turn may not.
func TestRotationIsRepeatedWhenTheSuccessorIsRevoked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		v, u := newcomer(t, s, "a@example.com")
		key := s.Key(t, u, servertest.M{"name": "k", "scope": "read"})
		path := "/settings/keys/" + key.ID
		v.submit(v.get(path), path+"/rotate", "overlap", "24h").want(http.StatusOK)
		successor := s.Admin(t, http.MethodGet, "/admin/keys/"+key.ID, nil).JSON(t)["rotated_to"].(string)
		keeper := s.Key(t, u, servertest.M{"name": "keeper", "scope": "read mintkeep:keys"})
		rotate := func(id, overlap string) servertest.Response {
			return s.API(t, http.MethodPost, "/api/v1/keys/"+id+"/rotate", keeper.Plain, servertest.M{"overlap": overlap})
		}
		rotate(key.ID, "24h").Want(t, http.StatusConflict, "conflict")
		s.Admin(t, http.MethodDelete, "/admin/keys/"+successor, nil).Want(t, http.StatusNoContent, "")
		second := s.NewKey(t, rotate(key.ID, "24h").Want(t, http.StatusCreated, ""))
		s.NewKey(t, rotate(second.ID, "0s").Want(t, http.StatusCreated, ""))
		rotate(key.ID, "24h").Want(t, http.StatusConflict, "conflict")
	})
}
