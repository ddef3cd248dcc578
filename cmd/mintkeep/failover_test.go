package main

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// "Failover": the primary dies, a Sentinel promotes the replica, and the servers find it by themselves, with its data.
// Until then they are not ready, and give no verdict about a token.
func TestSentinelFailover(t *testing.T) {
	t.Parallel() // it waits more than it works
	primary := storetest.Redis(t, "--repl-diskless-sync-delay", "0")
	host, port, err := net.SplitHostPort(primary.Addr())
	if err != nil {
		t.Fatal(err)
	}
	replicated := storetest.Redis(t, "--replicaof", host+" "+port)
	awaitInfo(t, replicated, "replication", "master_link_status:up")
	sentinel := storetest.Sentinel(t, primary)
	processtest.Eventually(t, processtest.Patience, func() bool {
		replicas, _ := do(t, sentinel, "SENTINEL", "REPLICAS", "mintkeep").([]any)
		return len(replicas) == 1
	}, func() string { return "the Sentinel knows of no replica" })

	survives(t, sentinel.URL(), primary, replicated, func() {
		do(t, sentinel, "SENTINEL", "SET", "mintkeep", "down-after-milliseconds", "200") // not before: nothing else is a failure
		primary.Kill()
	})
}

// The same with a cluster, of which one node has every slot and another is its replica. A single node is no majority,
// which a cluster of three would be, so that the replica is told to take over.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes the seconds that the nodes of a cluster take to agree")
	}
	primary := storetest.Cluster(t, "--repl-diskless-sync-delay", "0")
	replica := storetest.Cluster(t)
	host, port, err := net.SplitHostPort(primary.Addr())
	if err != nil {
		t.Fatal(err)
	}
	bus := do(t, primary, "CONFIG", "GET", "cluster-port").([]any)[1]
	do(t, replica, "CLUSTER", "RESET")
	do(t, replica, "CLUSTER", "MEET", host, port, bus)
	id := do(t, primary, "CLUSTER", "MYID")
	processtest.Eventually(t, processtest.Patience, func() bool {
		_, err := replica.Do("CLUSTER", "REPLICATE", id)
		return err == nil
	}, func() string { return "the nodes do not meet" })
	awaitInfo(t, replica, "replication", "master_link_status:up")
	processtest.Eventually(t, processtest.Patience, func() bool {
		return strings.Contains(do(t, replica, "CLUSTER", "INFO").(string), "cluster_slots_ok:16384")
	}, func() string { return "the replica does not know of the slots" })
	survives(t, "redis+cluster://"+primary.Addr()+","+replica.Addr(), primary, replica, func() {
		primary.Kill()
		do(t, replica, "CLUSTER", "FAILOVER", "TAKEOVER")
	})
}

// survives starts a server, has the replica take over from the primary, and wants the server to go on with the same data.
func survives(t *testing.T, url string, primary, replica *storetest.Server, fail func()) {
	t.Helper()
	r := processtest.StartReady(t, processtest.OnRedis(url)...)
	client := r.Register(t, `{"scope":"read"}`)
	token := r.Token(t, client)
	processtest.Eventually(t, processtest.Patience, func() bool { return offset(t, primary) == offset(t, replica) }, func() string { return "the replica lags" })
	fail()

	began := time.Now()
	processtest.Eventually(t, processtest.Patience, func() bool {
		got := r.Introspect(client, token)
		if !got.Active() && !got.Is(http.StatusServiceUnavailable) {
			t.Fatalf("without a primary: got %s, want 503 or the truth", got)
		}
		return got.Active()
	}, r.Log.String)
	t.Logf("answers again %v after the primary died", time.Since(began).Round(time.Millisecond))
	processtest.Eventually(t, processtest.Patience, r.Ready, r.Log.String)
	r.Token(t, client)
}

// offset is the replication offset of a server.
func offset(t *testing.T, s *storetest.Server) string {
	t.Helper()
	_, rest, _ := strings.Cut(do(t, s, "INFO", "replication").(string), "master_repl_offset:")
	digits, _, _ := strings.Cut(rest, "\r")
	return digits
}
