package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Killing a process is no loss of power: what it has written is in the system's memory, and is there when it starts
// again. So these tests work on the append-only file: only what was synced survives.

// logDir is where a server keeps its append-only file.
func logDir(t *testing.T, server *storetest.Server) string {
	t.Helper()
	settings, err := server.Client().ConfigGet(t.Context(), "*dir*").Result()
	must(t, err)
	return filepath.Join(settings["dir"], settings["appenddirname"])
}

// growing is the part of the append-only file that grows.
func growing(t *testing.T, server *storetest.Server) string {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(logDir(t, server), "*.incr.aof"))
	must(t, err)
	if len(parts) != 1 {
		t.Fatalf("the append-only file has the parts %v, want one", parts)
	}
	return parts[0]
}

// TestPowerLoss: with appendfsync always, Redis has synced its file when it answers (see TestFsyncFails), so that the
// file as it is at that moment is what a loss of power leaves. The token is revoked in it.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	b := server.Backend(t)
	s := lasting(t, b, config.Durability{Fsync: true})
	create(t, s, "a")
	revoked, kept := issue(t, b, s, "a", "revoked"), issue(t, b, s, "a", "kept")

	must(t, s.RevokeToken(t.Context(), revoked, store.Cause{}))
	survives := t.TempDir()
	must(t, os.CopyFS(filepath.Join(survives, filepath.Base(logDir(t, server))), os.DirFS(logDir(t, server))))

	after := storetest.Redis(t, "--dir", survives, "--appendonly", "yes").Backend(t).Open(t)
	if live(t, after, "a", revoked) {
		t.Error("after a loss of power, a revoked token is live again")
	}
	if !live(t, after, "a", kept) {
		t.Error("after a loss of power, a token that nobody has revoked is dead: nothing was tried here")
	}
}

// TestPowerLossWithAck is what ack does not promise, and shows that the other test would notice: what was not
// synced yet is cut off, and the token that was revoked is active again. kill -9 alone loses nothing.
func TestPowerLossWithAck(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "no")
	b := server.Backend(t)
	s := b.Open(t)
	create(t, s, "a")
	revoked := issue(t, b, s, "a", "revoked")
	file := growing(t, server)
	synced, err := os.Stat(file)
	must(t, err)

	must(t, s.RevokeToken(t.Context(), revoked, store.Cause{}))
	server.Kill()
	server.Start()
	if live(t, b.Open(t), "a", revoked) {
		t.Error("kill -9 alone brings a revoked token back")
	}

	server.Kill()
	must(t, os.Truncate(file, synced.Size()))
	server.Start()
	if !live(t, b.Open(t), "a", revoked) {
		t.Error("the end was in the file before it was written: a loss of power is not simulated")
	}
}
