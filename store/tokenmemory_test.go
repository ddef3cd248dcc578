package store_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// stored is how many records the tests of memory fill in. It is not the same for each number: the tables of Redis
// double at a power of two, and just after that there is most room in them for what is not there.
var stored = flag.Int("stored", 5_000, "how many records the tests of Redis's memory fill in")

// The memory that Redis needs for the 17 bytes of an active JWT's record, and for an opaque token, which has its claims too.
func TestTokenMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector changes what a record takes")
	}
	t.Run("jwt", func(t *testing.T) { tokenMemory(t, 200, nil) })
	t.Run("opaque", func(t *testing.T) { tokenMemory(t, 500, []byte(opaqueClaims)) })
}

// opaqueClaims are those of a client with a name of usual length, two scopes and one audience.
const opaqueClaims = `{"iss":"https://auth.example.com","sub":"billing-service","client_id":"billing-service",` +
	`"aud":"https://api.example.com","exp":1790000000,"iat":1790000000,` +
	`"jti":"AAAAAAAAAAAAAAAAAAAAAAAAAA","scope":"invoices:read invoices:write"}`

func tokenMemory(t *testing.T, allowed float64, claims []byte) {
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	save(t, b, 0, 200, claims) // what the first keys cost
	for i := range 200 {
		d := digest(i)
		if got := b.Do("MEMORY", "USAGE", "mk:t:"+string(d[:])).(int64); float64(got) > allowed {
			t.Fatalf("MEMORY USAGE of a record is %d, want at most %v", got, allowed)
		}
	}
	n := *stored
	used := usedMemory(t, srv)
	save(t, b, 200, n, claims)
	per := float64(usedMemory(t, srv)-used) / float64(n)
	t.Logf("%d records: %.1f bytes each", n, per)
	if per > allowed {
		t.Errorf("%d records take %.1f bytes each, want at most %v", n, per, allowed)
	}
}

func digest(i int) store.Digest {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i))
	return store.DigestOf(string(b[:]))
}

// save saves n tokens and reads them, so many at once that they share round trips. A hash table that grows is there
// twice until enough reads have moved what was in it.
func save(t *testing.T, b *storetest.Backend, from, n int, claims []byte) {
	t.Helper()
	s := b.Open(t)
	defer s.Close()
	const workers = 512
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			var err error
			for i := from + w; i < from+n && err == nil; i += workers {
				err = s.SaveToken(t.Context(), digest(i), store.Credential{Generation: store.NewGeneration(), Claims: claims}, b.Clock.Now().Add(time.Hour), nil)
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

// usedMemory is what the server uses once only the test itself is connected: the buffers of connections come and go.
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
