package storetest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Replica starts a replica of primary, or of what is at the end of a line to it (see [Proxy]), and waits until it
// has everything.
func Replica(t testing.TB, primary string, args ...string) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(primary)
	if err != nil {
		t.Fatal(err)
	}
	r := private(t, standalone, append([]string{"--replicaof", host + " " + port}, args...)...)
	r.Await("a link to the primary", func(ctx context.Context, rdb *redis.Client) bool {
		return strings.Contains(rdb.Info(ctx, "replication").Val(), "master_link_status:up")
	})
	return r
}

// Await polls the server until ok, and fails the test if that takes too long.
func (s *Server) Await(what string, ok func(context.Context, *redis.Client) bool) {
	s.t.Helper()
	await(s.t, what, func(ctx context.Context) bool { return ok(ctx, s.p.rdb) })
}

func await(t testing.TB, what string, ok func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !ok(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", patience, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// A server without an answer is down after failureTimeout once a test expects a failure, and after idleTimeout otherwise. A busy
// machine may hold up a primary for a second: if a replica took over then, what it does not have yet would be lost.
const (
	failureTimeout = 700 * time.Millisecond
	idleTimeout    = time.Minute
)

// Watched is a primary with one replica, and three Sentinels of which two decide.
type Watched struct {
	Primary, Replica *Server
	// Link is the line by which the replica follows the primary.
	Link      *Proxy
	Sentinels [3]*Server

	t testing.TB
}

// Sentinels starts a primary, a replica and three Sentinels, under the name "mintkeep". args are for both servers.
func Sentinels(t testing.TB, args ...string) *Watched {
	t.Helper()
	w := &Watched{Primary: Redis(t, args...), t: t}
	w.Link = NewProxy(t, w.Primary.Addr())
	w.Replica = Replica(t, w.Link.Addr(), args...)
	for i := range w.Sentinels {
		// A replica that follows another address than the primary's is set right after failover-timeout: not in
		// a test.
		w.Sentinels[i] = private(t, sentinel,
			fmt.Sprintf("sentinel monitor mintkeep 127.0.0.1 %d 2", w.Primary.p.port.number),
			fmt.Sprintf("sentinel down-after-milliseconds mintkeep %d", idleTimeout.Milliseconds()),
			"sentinel failover-timeout mintkeep 60000")
	}
	for _, s := range w.Sentinels {
		s.Await("a Sentinel that knows of all", func(ctx context.Context, rdb *redis.Client) bool {
			master := rdb.Do(ctx, "SENTINEL", "MASTER", "mintkeep").String()
			return strings.Contains(master, "num-other-sentinels 2") && strings.Contains(master, "num-slaves 1")
		})
	}
	return w
}

// URL is what MINTKEEP_REDIS_URL would be.
func (w *Watched) URL() string {
	var addrs []string
	for _, s := range w.Sentinels {
		addrs = append(addrs, s.Addr())
	}
	return "redis+sentinel://" + strings.Join(addrs, ",") + "/mintkeep"
}

// ExpectFailure comes before a fault of the primary, until [Watched.AwaitFailover]: the Sentinels replace a server that is down.
func (w *Watched) ExpectFailure() { w.t.Helper(); w.setDownAfter(failureTimeout) }

func (w *Watched) setDownAfter(d time.Duration) {
	w.t.Helper()
	for _, s := range w.Sentinels {
		s.must(s.p.rdb.Do(context.Background(), "SENTINEL", "SET", "mintkeep", "down-after-milliseconds", d.Milliseconds()).Err())
	}
}

// Failover has the Sentinels promote the replica while both are well.
func (w *Watched) Failover() {
	w.t.Helper()
	await(w.t, "a failover", func(ctx context.Context) bool {
		return w.Sentinels[0].p.rdb.Do(ctx, "SENTINEL", "FAILOVER", "mintkeep").Err() == nil
	})
}

// AwaitFailover waits until the replica is the primary and the Sentinels name it. From then on no failure is expected.
func (w *Watched) AwaitFailover() {
	w.t.Helper()
	w.Replica.Promoted()
	w.setDownAfter(idleTimeout)
	for _, s := range w.Sentinels {
		s.Await("a failover", func(ctx context.Context, rdb *redis.Client) bool {
			addr := rdb.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mintkeep").String()
			return strings.Contains(addr, fmt.Sprint(w.Replica.p.port.number))
		})
	}
}

// Rejoin has the old primary, which runs again, follow the new one, as the Sentinels have it in some seconds.
func (w *Watched) Rejoin() {
	w.t.Helper()
	w.Primary.Await("a link to the new primary", func(ctx context.Context, rdb *redis.Client) bool {
		if err := rdb.Do(ctx, "REPLICAOF", "127.0.0.1", w.Replica.p.port.number).Err(); err != nil {
			return false
		}
		return strings.Contains(rdb.Info(ctx, "replication").Val(), "master_link_status:up")
	})
}

// Nodes is a cluster of three masters, each with one replica: the replica of Masters[i] is Replicas[i].
type Nodes struct {
	Masters, Replicas [3]*Server

	t testing.TB
}

// SixNodes starts a cluster of six nodes.
func SixNodes(t testing.TB, args ...string) *Nodes {
	t.Helper()
	n := &Nodes{t: t}
	args = append([]string{
		"--cluster-node-timeout", fmt.Sprint(idleTimeout.Milliseconds()), "--cluster-replica-validity-factor", "0",
		"--cluster-allow-replica-migration", "no",
	}, args...)
	for i := range n.Masters {
		n.Masters[i], n.Replicas[i] = private(t, node, args...), private(t, node, args...)
	}
	n.join()
	return n
}

// All are the six nodes.
func (n *Nodes) All() []*Server { return slices.Concat(n.Masters[:], n.Replicas[:]) }

// ExpectFailure comes before a fault of a master, until [Nodes.AwaitWell]: the replica of a master that is down takes over.
func (n *Nodes) ExpectFailure() { n.setTimeout(failureTimeout) }

func (n *Nodes) setTimeout(d time.Duration) {
	for _, s := range n.All() {
		if s.p.running() {
			s.must(s.p.rdb.ConfigSet(context.Background(), "cluster-node-timeout", fmt.Sprint(d.Milliseconds())).Err())
		}
	}
}

// URL is what MINTKEEP_REDIS_URL would be.
func (n *Nodes) URL() string {
	var addrs []string
	for _, s := range n.All() {
		addrs = append(addrs, s.Addr())
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

func (n *Nodes) join() {
	n.t.Helper()
	ctx, first := context.Background(), n.Masters[0].p
	for i, s := range n.All() {
		s.must(s.p.rdb.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		if s.p != first {
			s.must(s.p.rdb.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", first.port.number, first.bus.number).Err())
		}
	}
	n.awaitAll("six nodes that know each other", func(info string) bool { return strings.Contains(info, "cluster_known_nodes:6") })
	for i, s := range n.Masters {
		s.must(s.p.rdb.ClusterAddSlotsRange(ctx, i*16384/3, (i+1)*16384/3-1).Err())
		id := s.p.rdb.Do(ctx, "CLUSTER", "MYID").Val()
		s.must(n.Replicas[i].p.rdb.Do(ctx, "CLUSTER", "REPLICATE", id).Err())
	}
	n.AwaitWell()
}

// AwaitWell waits until every node that runs finds the cluster well and every replica follows its master. From then on no
// failure is expected.
func (n *Nodes) AwaitWell() {
	n.t.Helper()
	defer n.setTimeout(idleTimeout)
	n.awaitAll("a cluster that is well", func(info string) bool { return strings.Contains(info, "cluster_state:ok") })
	for _, s := range n.All() {
		if s.p.running() {
			s.Await("a link to the master", func(ctx context.Context, rdb *redis.Client) bool {
				info := rdb.Info(ctx, "replication").Val()
				return strings.Contains(info, "role:master") || strings.Contains(info, "master_link_status:up")
			})
		}
	}
}

func (n *Nodes) awaitAll(what string, ok func(info string) bool) {
	n.t.Helper()
	for _, s := range n.All() {
		if s.p.running() {
			s.Await(what, func(ctx context.Context, rdb *redis.Client) bool { return ok(rdb.ClusterInfo(ctx).Val()) })
		}
	}
}

// Promoted waits until the server is a master that others follow or could.
func (s *Server) Promoted() {
	s.t.Helper()
	s.Await("a promotion", func(ctx context.Context, rdb *redis.Client) bool {
		return strings.Contains(rdb.Info(ctx, "replication").Val(), "role:master")
	})
}

// Conn is a connection by which a test looks at a server.
type Conn = *redis.Client
