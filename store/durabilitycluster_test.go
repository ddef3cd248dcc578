package store_test

import (
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestClusterConfirms: the barrier runs on the shard that applied the revocation, and a slot that has moved is found.
func TestClusterConfirms(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	t.Parallel()
	nodes := storetest.SixNodes(t)
	b := nodes.Masters[0].Backend(t)
	at := func(o *store.Options) { o.URL = nodes.URL() }
	s := lasting(t, b, config.Durability{Replicas: 1}, at)
	for _, m := range nodes.Masters {
		m.AwaitReplicas(1)
	}
	must(t, s.CheckDurability(t.Context()))
	must(t, s.Confirm(t.Context()))
	err := lasting(t, b, config.Durability{Replicas: 2}, at).CheckDurability(t.Context())
	wantErr(t, "two replicas for each", err, store.ErrDurability)
	if want := "and this Redis at 127.0.0.1:"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q in it", err, want)
	}

	create(t, s, "a")
	on := map[*storetest.Server][]store.Digest{}
	for i := range 30 {
		d := issue(t, b, s, "a", fmt.Sprint("token ", i))
		m := ownerOf(t, nodes, d)
		on[m] = append(on[m], d)
	}
	if len(on) != 3 {
		t.Fatalf("the tokens lie on %d masters, want 3", len(on))
	}
	var both []store.Digest
	for _, m := range nodes.Masters {
		both = append(both, on[m][:2]...)
	}
	found, err := s.RevokeLeaked(hurry(t), both, ended(b, ""))
	if err != nil || len(found) != len(both) {
		t.Errorf("on all masters: %d ended, %v; want %d", len(found), err, len(both))
	}

	nodes.Replicas[0].Freeze()
	wantErr(t, "the replica is frozen", s.RevokeToken(hurry(t), on[nodes.Masters[0]][3], store.Cause{}), store.ErrUnconfirmed)
	wantErr(t, "one replica of three is frozen", second(s.RevokeLeaked(hurry(t), both, ended(b, ""))), store.ErrUnconfirmed)
	wantErr(t, "one of three cannot confirm", s.Confirm(hurry(t)), store.ErrUnavailable)
	must(t, s.RevokeToken(hurry(t), on[nodes.Masters[1]][3], store.Cause{}))
	nodes.Replicas[0].Thaw()

	moved := on[nodes.Masters[1]][4]
	for what := range move(t, nodes.Masters[1], nodes.Masters[2], moved) {
		if err := s.RevokeToken(hurry(t), moved, store.Cause{}); err != nil || live(t, s, "a", moved) {
			t.Errorf("%s: an end of it: %v, live %v", what, err, live(t, s, "a", moved))
		}
	}
}

// second is the error of a call with two results.
func second[T any](_ T, err error) error { return err }

func recordKey(d store.Digest) string { return "mk:t:" + string(d[:]) }

// ownerOf is the primary whose shard has a token.
func ownerOf(t *testing.T, nodes *storetest.Nodes, d store.Digest) *storetest.Server {
	t.Helper()
	for _, m := range nodes.Masters {
		if n, err := m.Client().Exists(t.Context(), recordKey(d)).Result(); err == nil && n == 1 {
			return m
		}
	}
	t.Fatal("no master has the token")
	return nil
}

// move gives the slot of a token to another primary, and stops twice: when the token is there and its slot is not, and
// at last.
func move(t *testing.T, from, to *storetest.Server, d store.Digest) iter.Seq[string] {
	t.Helper()
	ctx, slot := t.Context(), from.Client().ClusterKeySlot(t.Context(), recordKey(d)).Val()
	id := func(s *storetest.Server) any { return s.Client().Do(ctx, "CLUSTER", "MYID").Val() }
	do := func(s *storetest.Server, args ...any) {
		t.Helper()
		_, err := s.Do(args...)
		must(t, err)
	}
	_, port, _ := strings.Cut(to.Addr(), ":")
	return func(yield func(string) bool) {
		do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(from))
		do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(to))
		do(from, "MIGRATE", "127.0.0.1", port, recordKey(d), 0, 1000)
		if !yield("on its way") {
			return
		}
		do(to, "CLUSTER", "SETSLOT", slot, "NODE", id(to))
		do(from, "CLUSTER", "SETSLOT", slot, "NODE", id(to))
		yield("moved")
	}
}
