package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A durability that this Redis cannot give is rejected at the start, like a wrong configuration: exit code 2, and the fix.
func TestDurabilityRejected(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	for mode, want := range map[string]string{
		"replicas:1": "MINTKEEP_REVOKE_DURABILITY=replicas:1 needs a connected replica, and this Redis has 0: start one (REPLICAOF), or set it to ack",
		"fsync": "MINTKEEP_REVOKE_DURABILITY=fsync needs appendonly yes and appendfsync always, and this Redis has appendfsync everysec, appendonly no: " +
			"CONFIG SET appendfsync always, CONFIG SET appendonly yes, and write it to redis.conf",
	} {
		environ := append(processtest.OnRedis(redis.URL()), "MINTKEEP_ADDR=127.0.0.1:0", "MINTKEEP_METRICS_ADDR=", "MINTKEEP_REVOKE_DURABILITY="+mode)
		began := time.Now()
		got := mintkeep(t, environ, "", "serve")
		if got.code != exitUsage || got.stderr != "mintkeep: "+want+"\n" {
			t.Errorf("%s: exit code %d\n got %s\nwant mintkeep: %s", mode, got.code, got.stderr, want)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: it took %v", mode, took)
		}
	}
}

// A Redis that does not answer yet is no mistake: the server waits, and is ready when Redis gives the durability.
func TestDurabilityAwaited(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	redis.Stop()
	r := processtest.Start(t, append(processtest.OnRedis(redis.URL()), "MINTKEEP_REVOKE_DURABILITY=fsync")...)
	if got := r.Get("/readyz"); !got.Is(http.StatusServiceUnavailable) {
		t.Errorf("readyz answers %s, want 503", got)
	}
	redis.Start()
	processtest.Eventually(t, processtest.Patience, r.Ready, r.Log.String)
}

// A Redis that loses data in a crash gets a warning.
func TestWarnsOfLoss(t *testing.T) {
	t.Parallel()
	const warning = "Redis keeps no append-only file"
	r := processtest.Start(t, processtest.OnRedis(storetest.Redis(t).URL())...)
	processtest.Eventually(t, processtest.Patience, func() bool {
		return strings.Contains(r.Log.String(), `"level":"WARN","msg":"`+warning)
	}, r.Log.String)
	kept := processtest.StartReady(t, processtest.OnRedis(storetest.Redis(t, "--appendonly", "yes").URL())...)
	if log := kept.Log.String(); strings.Contains(log, warning) {
		t.Errorf("warned of a Redis that keeps its file:\n%s", log)
	}
}
