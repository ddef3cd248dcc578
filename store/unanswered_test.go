package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A connection that Redis rejects before the first command gives no verdict: neither for one request nor for a
// pipeline.
func TestRejectedConnectionIsNeverAVerdict(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	do := func(args ...any) {
		t.Helper()
		if _, err := server.Do(args...); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	do("ACL", "SETUSER", "servers", "on", ">pass", "~mk:*", "+@all")
	s, err := store.Open(store.Options{URL: "redis://servers:pass@" + server.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	must(t, s.CreateClient(ctx, &store.Client{ID: "there"}))
	do("ACL", "SETUSER", "servers", "resetpass", ">another")
	do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

	const callers = 100
	verdicts := make(chan error, 2*callers)
	for i := range callers {
		go func() {
			_, err := s.Client(ctx, "there")
			verdicts <- err
			verdicts <- s.SaveToken(ctx, store.DigestOf(fmt.Sprint(i)), store.Credential{}, time.Now().Add(time.Hour), nil)
		}()
	}
	for range 2 * callers {
		if err := <-verdicts; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want that the store is unavailable", err)
		}
	}
}
