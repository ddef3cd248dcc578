package server_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Of two rotations of a key at once, at two replicas, one creates a successor, whatever the overlaps are. The other is
// answered 409, and leaves no key behind.
func TestOneSuccessor(t *testing.T) {
	t.Parallel()
	t.Run("no overlap", func(t *testing.T) { oneSuccessor(t, "0s", "0s") })
	t.Run("one has an overlap", func(t *testing.T) { oneSuccessor(t, "0s", "1h") })
}

func oneSuccessor(t *testing.T, overlaps ...string) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		const rate = "MINTKEEP_KEY_CREATE_RATE=1000/m"
		replicas := []*servertest.Server{servertest.New(t, b, rate), servertest.New(t, b, rate)}
		s := replicas[0]
		u := s.User(t, servertest.M{"email": "ada@example.com"})
		keeper := s.Key(t, u, servertest.M{"name": "keeper", "scope": "read mintkeep:keys"})
		for round := range 40 {
			key := s.Key(t, u, servertest.M{"name": "k", "scope": "read"})
			answers := make([]servertest.Response, len(replicas))
			start := make(chan struct{})
			var callers sync.WaitGroup
			for i, replica := range replicas {
				callers.Go(func() {
					<-start
					answers[i] = replica.API(t, http.MethodPost, apiKeysPath+"/"+key.ID+"/rotate", keeper.Plain, servertest.M{"overlap": overlaps[i]})
				})
			}
			close(start)
			callers.Wait()
			var successors []string
			active := 2 // the keeper and the successor
			for i, answer := range answers {
				if answer.Status != http.StatusCreated {
					answer.Want(t, http.StatusConflict, "conflict")
					continue
				}
				successors = append(successors, s.NewKey(t, answer).ID)
				if overlaps[i] != "0s" {
					active++
				}
			}
			if len(successors) != 1 {
				t.Fatalf("round %d: the successors are %q, want one", round, successors)
			}
			shown := s.Admin(t, http.MethodGet, "/admin/keys/"+key.ID, nil).Want(t, http.StatusOK, "").JSON(t)
			if shown["rotated_to"] != successors[0] {
				t.Errorf("round %d: the key was rotated to %v, want %s", round, shown["rotated_to"], successors[0])
			}
			live := s.Admin(t, http.MethodGet, "/admin/keys?state=live&user="+u.ID, nil).Want(t, http.StatusOK, "").JSON(t)["items"].([]any)
			if len(live) != active {
				t.Errorf("round %d: %d keys are active, want %d", round, len(live), active)
			}
			for _, id := range []string{key.ID, successors[0]} {
				s.Admin(t, http.MethodDelete, "/admin/keys/"+id, nil).Want(t, http.StatusNoContent, "")
			}
		}
	})
}
