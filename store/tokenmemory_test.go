package store_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Contract §7 allows 512 bytes for a live JWT. The record has 17, and this is what Redis makes of it.
func TestTokenMemory(t *testing.T) {
	const allowed = 200
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	save(t, b, 0, 200) // what the first keys cost
	for i := range 200 {
		d := digest(i)
		if got := b.Do("MEMORY", "USAGE", "mk:t:"+string(d[:])).(int64); got > allowed {
			t.Fatalf("MEMORY USAGE of a record is %d, want at most %d", got, allowed)
		}
	}
	const n = 10_000
	used := usedMemory(t, srv)
	save(t, b, 200, n)
	per := float64(usedMemory(t, srv)-used) / n
	t.Logf("%d records: %.1f bytes each", n, per)
	if per > allowed {
		t.Errorf("%d records take %.1f bytes each, want at most %d", n, per, allowed)
	}
}

func digest(i int) store.Digest {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i))
	return store.DigestOf(string(b[:]))
}

// save saves n tokens and reads them, through several connections lest it take for ever. A hash table that grows is
// there twice until enough reads have moved what was in it.
func save(t *testing.T, b *storetest.Backend, from, n int) {
	t.Helper()
	s := b.Open(t)
	defer s.Close()
	const workers = 16
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			var err error
			for i := from + w; i < from+n && err == nil; i += workers {
				err = s.SaveToken(t.Context(), digest(i), store.Credential{Generation: store.NewGeneration()}, b.Clock.Now().Add(time.Hour))
			}
			for i := from + w; i < from+n && err == nil; i += workers {
				_, err = s.Credential(t.Context(), digest(i))
			}
			errs <- err
		}()
	}
	for range workers {
		must(t, <-errs)
	}
}

// usedMemory is what the server uses once nobody is connected but the test itself: the buffers of connections
// come and go.
func usedMemory(t *testing.T, srv *storetest.Server) (used int) {
	t.Helper()
	await(t, "the end of the connections", func() error {
		info, err := srv.Client().InfoMap(t.Context(), "everything").Result()
		must(t, err)
		used, err = strconv.Atoi(info["Memory"]["used_memory"])
		must(t, err)
		if n := info["Clients"]["connected_clients"]; n != "1" {
			return fmt.Errorf("%s clients", n)
		}
		return nil
	})
	return used
}
