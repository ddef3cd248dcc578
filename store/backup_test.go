package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/rollback"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// backup is what a server had at one moment.
type backup struct {
	t    *testing.T
	srv  *storetest.Server
	file string
	rdb  []byte
}

func backUp(t *testing.T, srv *storetest.Server) *backup {
	t.Helper()
	_, err := srv.Do("SAVE")
	must(t, err)
	dir, err := srv.Client().ConfigGet(t.Context(), "dir").Result()
	must(t, err)
	b := &backup{t: t, srv: srv, file: filepath.Join(dir["dir"], "dump.rdb")}
	b.rdb, err = os.ReadFile(b.file)
	must(t, err)
	return b
}

// restore stops the server, and starts it with what the backup has.
func (b *backup) restore() {
	b.t.Helper()
	b.srv.Stop()
	b.start()
}

// start starts a stopped server with what the backup has.
func (b *backup) start() {
	b.t.Helper()
	must(b.t, os.WriteFile(b.file, b.rdb, 0o600))
	b.srv.Start()
}

// grow lets so much time pass that the redo log does not reach back to where it began.
func grow(t *testing.T, b *storetest.Backend, s *store.Store) {
	t.Helper()
	for range 3 {
		b.Clock.Advance(rollback.EntryLife + time.Second)
		s.Heartbeat(t.Context())
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatalf("time has passed, and the store says %v", err)
	}
}
