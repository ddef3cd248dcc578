package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestSecretRotation is rotation, overlap, last uses and the revocation of one secret.
func TestSecretRotation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		works := func(t *testing.T, id, secret string, want bool) {
			t.Helper()
			got := other.Post(t, "/oauth/token", grantCC, servertest.Client{ID: id, Secret: secret}.Basic())
			if got.Status == http.StatusOK != want {
				t.Errorf("the secret …%s: %d", secret[len(secret)-4:], got.Status)
			}
		}
		list := func(t *testing.T, path string) (ids []string, items []any) {
			t.Helper()
			items = s.Admin(t, http.MethodGet, path, nil).Want(t, http.StatusOK, "").JSON(t)["items"].([]any)
			for _, item := range items {
				ids = append(ids, item.(servertest.M)["id"].(string))
			}
			return ids, items
		}
		rotate := func(t *testing.T, path string, body any) servertest.M {
			t.Helper()
			answer := s.Admin(t, http.MethodPost, path, body).Want(t, http.StatusCreated, "").JSON(t)
			if secret, ok := answer["client_secret"].(string); ok {
				s.Secret(secret)
			}
			return answer
		}
		t.Run("rotate with an overlap", func(t *testing.T) {
			c := s.Register(t, servertest.M{"scope": "read"})
			path := clientsPath + "/" + c.ID + "/secrets"
			first, _ := list(t, path)
			answer := rotate(t, path, nil) // no body: 24h
			second := answer["client_secret"].(string)
			works(t, c.ID, c.Secret, true)
			works(t, c.ID, second, true)
			want := b.Clock.Now().Add(24 * time.Hour).Format("2006-01-02T15:04:05")
			previous := answer["previous"].(servertest.M)
			if previous["id"] != first[0] || !strings.HasPrefix(previous["expires_at"].(string), want) || answer["last_four"] != second[len(second)-4:] {
				t.Errorf("got %v, want the end of %s at %s", answer, first[0], want)
			}
			s.Admin(t, http.MethodPost, path, servertest.M{"overlap": "1h"}).Want(t, http.StatusConflict, "conflict")
			b.Clock.Advance(24*time.Hour - time.Minute)
			works(t, c.ID, c.Secret, true)
			b.Clock.Advance(time.Minute)
			works(t, c.ID, c.Secret, false)
			works(t, c.ID, second, true)
			if ids, _ := list(t, path); cmp.Diff([]string{answer["id"].(string)}, ids) != "" {
				t.Errorf("after the overlap: %v", ids)
			}
			third := rotate(t, path, servertest.M{"overlap": "0s"})
			works(t, c.ID, second, false)
			works(t, c.ID, third["client_secret"].(string), true)
			for _, bad := range []any{"-1s", "x", 7, "800h", ""} {
				s.Admin(t, http.MethodPost, path, servertest.M{"overlap": bad}).Want(t, http.StatusBadRequest, "invalid_request")
			}
			imported := strings.Repeat("import ", 6)
			s.Secret(imported)
			if got := rotate(t, path, servertest.M{"client_secret": imported}); got["client_secret"] != nil || got["last_four"] != nil {
				t.Errorf("imported: %v", got)
			}
			works(t, c.ID, imported, true)
		})
		t.Run("each secret's last use", func(t *testing.T) {
			c := s.Register(t, servertest.M{"scope": "read"})
			b.Clock.Advance(time.Second) // of two created at once, neither is the older
			path := clientsPath + "/" + c.ID + "/secrets"
			second := rotate(t, path, servertest.M{})["client_secret"].(string)
			for i, secret := range []string{c.Secret, second} {
				b.Clock.Advance(time.Minute)
				s.Token(t, servertest.Client{ID: c.ID, Secret: secret})
				if err := s.Store.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				_, items := list(t, path)
				used, _ := items[i].(servertest.M)["last_used_at"].(string)
				at, err := time.Parse(time.RFC3339, used)
				if err != nil || at.Sub(b.Clock.Now()).Abs() > time.Second {
					t.Errorf("secret %d was used at %q, want %v", i, used, b.Clock.Now())
				}
				if i == 0 && items[1].(servertest.M)["last_used_at"] != nil {
					t.Errorf("the other was never used: %v", items[1])
				}
			}
		})
		t.Run("revoke one", func(t *testing.T) {
			c := s.Register(t, servertest.M{"scope": "read"})
			b.Clock.Advance(time.Second) // of two created at once, neither is the older
			path := clientsPath + "/" + c.ID + "/secrets"
			second := rotate(t, path, servertest.M{"overlap": "1h"})["client_secret"].(string)
			token := s.Token(t, c)
			ids, _ := list(t, path)
			s.Admin(t, http.MethodGet, path+"/"+ids[0], nil).Want(t, http.StatusOK, "")
			s.Admin(t, http.MethodDelete, path+"/"+ids[0], nil).Want(t, http.StatusNoContent, "")
			works(t, c.ID, c.Secret, false)
			works(t, c.ID, second, true)
			if !other.Active(t, servertest.Client{ID: c.ID, Secret: second}, token) {
				t.Error("its tokens died with it")
			}
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				for _, id := range []string{ids[0], "sec_x", "*"} {
					s.Admin(t, method, path+"/"+id, nil).Want(t, http.StatusNotFound, "not_found")
				}
			}
		})
	})
}

// A secret that an operator took for an id is not sent to Redis.
func TestSecretInPlaceOfAnID(t *testing.T) {
	t.Parallel()
	p, _, s, _ := lateReplicas(t, true)
	c := s.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
	imported := strings.Repeat("imported-", 5)
	for _, secret := range []string{c.Secret, imported} {
		held := p.Hold(func(piece [][]string) bool {
			return slices.ContainsFunc(piece, func(words []string) bool { return strings.Contains(strings.Join(words, " "), secret) })
		})
		s.Admin(t, http.MethodDelete, clientsPath+"/billing/secrets/"+secret, nil).Want(t, http.StatusNotFound, "not_found")
		if secret == c.Secret { // what an operator has brought may be an id
			path := clientsPath + "/" + secret
			s.Admin(t, http.MethodGet, path, nil).Want(t, http.StatusNotFound, "not_found")
			s.Admin(t, http.MethodPatch, path, servertest.M{"scope": "write"}).Want(t, http.StatusNotFound, "not_found")
			s.Admin(t, http.MethodPatch, path+"?dry_run=true", servertest.M{"scope": "write"}).Want(t, http.StatusNotFound, "not_found")
			s.Admin(t, http.MethodDelete, path, nil).Want(t, http.StatusNotFound, "not_found")
		}
		select {
		case <-held.Arrived():
			t.Errorf("the secret %.4s… was sent to Redis", secret)
		default:
		}
	}
}
