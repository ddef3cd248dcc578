package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// What this Redis cannot give is refused at the start, as a wrong configuration is: exit code 2, and how to mend it.
func TestDurabilityRefused(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	for mode, want := range map[string]string{
		"replicas:1": "MINTKEEP_REVOKE_DURABILITY=replicas:1 needs a connected replica, and this Redis has 0: start one (REPLICAOF), or set it to ack",
		"fsync": "MINTKEEP_REVOKE_DURABILITY=fsync needs appendonly yes and appendfsync always, and this Redis has appendfsync everysec, appendonly no: " +
			"CONFIG SET appendfsync always, CONFIG SET appendonly yes, and write it to redis.conf",
	} {
		environ := append(onRedis(redis.URL()), "MINTKEEP_ADDR=127.0.0.1:0", "MINTKEEP_METRICS_ADDR=", "MINTKEEP_REVOKE_DURABILITY="+mode)
		began := time.Now()
		got := mintkeep(t, environ, "", "serve")
		if got.code != exitUsage || got.stderr != "mintkeep: "+want+"\n" {
			t.Errorf("%s: exit code %d\n got %s\nwant mintkeep: %s", mode, got.code, got.stderr, want)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v", mode, took)
		}
	}
}

// A Redis that is not there yet is not judged: the server waits for it, and is ready when it can give what is asked.
func TestDurabilityAwaited(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	redis.Stop()
	r := start(t, append(onRedis(redis.URL()), "MINTKEEP_REVOKE_DURABILITY=fsync")...)
	if status, body, err := call(http.MethodGet, r.url+"/readyz", "", "", ""); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("readyz answers %d %s (%v), want 503", status, body, err)
	}
	redis.Start()
	eventually(t, 15*time.Second, r.ready, r.stderr.String)
}

// Who runs a Redis that forgets is told.
func TestWarnsOfLoss(t *testing.T) {
	t.Parallel()
	const warning = "Redis keeps no append-only file"
	r := start(t, onRedis(storetest.Redis(t).URL())...)
	r.await(t, regexp.MustCompile(`"level":"(WARN)","msg":"`+warning))
	kept := start(t, onRedis(storetest.Redis(t, "--appendonly", "yes").URL())...)
	eventually(t, 15*time.Second, kept.ready, kept.stderr.String)
	if log := kept.stderr.String(); strings.Contains(log, warning) {
		t.Errorf("warned of a Redis that keeps its file:\n%s", log)
	}
}
