package fence_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/fence"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// breaking is a connection that breaks when a deletion is sent by it, as long as there are breaks left.
type breaking struct {
	net.Conn
	breaks *atomic.Int32
}

func (c breaking) Write(piece []byte) (int, error) {
	if bytes.Contains(bytes.ToLower(piece), []byte("hdel")) && bytes.Contains(piece, []byte("sec_1")) && c.breaks.Add(-1) >= 0 {
		return len(piece), c.Close()
	}
	return c.Conn.Write(piece)
}

// A connection that breaks in the middle of the replay costs no revocation: the step is repeated. If it gets no answer again and
// again, there is no fence, since the secret may be active.
func TestReplayIsNotAnswered(t *testing.T) {
	for name, tt := range map[string]struct {
		breaks  int32
		revoked bool
	}{"once": {1, true}, "each time": {100, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var breaks atomic.Int32
			redis := storetest.Redis(t)
			s, err := store.Open(store.Options{URL: redis.URL(), Dial: func(dial redisdb.DialFunc) redisdb.DialFunc {
				return func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := dial(ctx, network, addr)
					return breaking{conn, &breaks}, err
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			now := time.Now().UTC().Truncate(time.Second)
			err = s.CreateClient(t.Context(), &store.Client{
				ID: "billing", Metadata: store.ClientMetadata{CreatedAt: now},
				Secrets: []store.Secret{{ID: "sec_1", Digest: store.DigestOf("secret"), CreatedAt: now}},
			})
			if err != nil {
				t.Fatal(err)
			}
			plan := fence.Make([]store.Event{{
				Action: "secret.ended", Target: "client:billing", At: now, Detail: map[string]string{"secret": "sec_1"},
			}}, now)
			breaks.Store(tt.breaks)
			got, err := fence.Run(t.Context(), fence.Options{Store: s, Plan: plan})
			breaks.Store(0)
			if fenced := got.Fence != 0; fenced != tt.revoked || errors.Is(err, store.ErrUnavailable) == tt.revoked {
				t.Errorf("fenced: %t, %v; want %t", fenced, err, tt.revoked)
			}
			if tt.revoked && (len(got.Steps) != 1 || got.Steps[0].Outcome != fence.Revoked) {
				t.Errorf("got %+v, want one revocation", got.Steps)
			}
			c, err := s.Client(t.Context(), "billing")
			if err != nil || (len(c.Secrets) == 0) != tt.revoked {
				t.Errorf("the client is %+v, %v; want its secret revoked: %t", c, err, tt.revoked)
			}
		})
	}
}

// Redis rejects the replay of one revocation, for a reason that is over soon: a failover, too few replicas. The secret may be
// active, so there is no fence. The same command revokes it afterwards.
func TestReplayIsRejected(t *testing.T) {
	for name, tt := range map[string]struct{ begin, end [][]any }{
		"READONLY": {
			begin: [][]any{{"REPLICAOF", "127.0.0.1", "1"}},
			end:   [][]any{{"REPLICAOF", "NO", "ONE"}},
		},
		"MASTERDOWN": {
			begin: [][]any{{"CONFIG", "SET", "replica-serve-stale-data", "no"}, {"REPLICAOF", "127.0.0.1", "1"}},
			end:   [][]any{{"REPLICAOF", "NO", "ONE"}},
		},
		"NOREPLICAS": {
			begin: [][]any{{"CONFIG", "SET", "min-replicas-to-write", "1"}},
			end:   [][]any{{"CONFIG", "SET", "min-replicas-to-write", "0"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := storetest.Redis(t)
			s := redis.Backend(t).Open(t)
			do := func(commands [][]any) {
				for _, c := range commands {
					if _, err := redis.Do(c...); err != nil {
						t.Error(err)
					}
				}
			}
			now := time.Now().UTC().Truncate(time.Second)
			var events []store.Event
			for _, id := range []string{"first", "second"} {
				secret := store.Secret{ID: "sec_" + id, Digest: store.DigestOf(id), CreatedAt: now}
				err := s.CreateClient(t.Context(), &store.Client{
					ID: id, Metadata: store.ClientMetadata{CreatedAt: now}, Secrets: []store.Secret{secret},
				})
				if err != nil {
					t.Fatal(err)
				}
				events = append(events, store.Event{
					Action: "secret.ended", Target: "client:" + id, At: now, Detail: map[string]string{"secret": secret.ID},
				})
			}
			o := fence.Options{Store: s, Plan: fence.Make(events, now), Progress: func(done int, what string) {
				switch {
				case what == "revocations replayed" && done == 1:
					do(tt.begin)
				case what == "revocations replayed":
					do(tt.end)
				}
			}}
			if got, err := fence.Run(t.Context(), o); !errors.Is(err, store.ErrUnavailable) || got.Fence != 0 {
				t.Errorf("got fence %d, %v; want none, and %v", got.Fence, err, store.ErrUnavailable)
			}
			do(tt.end)
			o.Progress = nil
			if got, err := fence.Run(t.Context(), o); err != nil || got.Fence == 0 {
				t.Errorf("repeated: got fence %d, %v", got.Fence, err)
			}
			if c, err := s.Client(t.Context(), "second"); err != nil || len(c.Secrets) != 0 {
				t.Errorf("got %+v, %v; want that the secret is revoked", c, err)
			}
		})
	}
}
