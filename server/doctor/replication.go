package doctor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// A replica this far behind would lose that much at a failover.
const (
	lagSeconds = 10
	lagBytes   = 1 << 20
)

// replica is one as its primary sees it: slave0:ip=…,port=…,state=online,offset=…,lag=….
type replica struct {
	addr   string
	state  string
	behind int64 // bytes
	lag    int64 // seconds since it last answered
}

func replicasOf(n redisdb.Node) []replica {
	var all []replica
	for i := range number(n, "connected_slaves") {
		fields := map[string]string{}
		for pair := range strings.SplitSeq(n.Info[fmt.Sprintf("slave%d", i)], ",") {
			name, value, _ := strings.Cut(pair, "=")
			fields[name] = value
		}
		offset, _ := strconv.ParseInt(fields["offset"], 10, 64)
		lag, _ := strconv.ParseInt(fields["lag"], 10, 64)
		all = append(all, replica{
			addr: fields["ip"] + ":" + fields["port"], state: fields["state"], behind: number(n, "master_repl_offset") - offset, lag: lag,
		})
	}
	return all
}

// replication checks the role of the server, and its replicas. To have none is a warning only where a failover is
// intended: in a cluster, or behind Sentinels.
func replication(d *redisdb.Diagnosis) func(redisdb.Node) Check {
	return func(n redisdb.Node) Check {
		c := Check{Name: "replication", State: OK}
		replicas := replicasOf(n)
		switch {
		case n.Info["role"] == "slave":
			return readOnly(n)
		case len(replicas) == 0 && (clustered(d) || len(d.Sentinels) > 0):
			c.State, c.Found, c.Fix = Warn, "no replica: no server takes over when this master is lost", "add a replica"
		case len(replicas) == 0:
			c.Found = "no replica: this server has the only copy"
		default:
			c.State, c.Found, c.Fix = replicated(n, replicas)
		}
		if least := n.Config["min-replicas-to-write"]; least != "" && least != "0" && number(n, "min_slaves_good_slaves") < int64(atoi(least)) {
			c.State = Fail
			c.Found = fmt.Sprintf("min-replicas-to-write %s, and %d are good: Redis rejects writes", least, number(n, "min_slaves_good_slaves"))
			c.Fix = "bring the replicas back, or lower min-replicas-to-write"
		}
		return c
	}
}

func readOnly(n redisdb.Node) Check {
	found := fmt.Sprintf("this is a replica of %s:%s, and accepts no writes", n.Info["master_host"], n.Info["master_port"])
	if link := n.Info["master_link_status"]; link != "up" {
		found += "; its link is " + link
	}
	return Check{
		Name: "replication", State: Fail, Found: found,
		Fix: "name the primary in MINTKEEP_REDIS_URL, or Sentinels, which know it: redis+sentinel://s1,s2,s3/master",
	}
}

func replicated(n redisdb.Node, replicas []replica) (state State, found, fix string) {
	var worst replica
	for _, r := range replicas {
		if r.state != "online" {
			return Warn, fmt.Sprintf("the replica %s is not online but %s", r.addr, r.state), "see its log"
		}
		worst.behind, worst.lag = max(worst.behind, r.behind), max(worst.lag, r.lag)
	}
	found = fmt.Sprintf("replicas: %d online, at most %s and %d s behind", len(replicas), bytes(worst.behind), worst.lag)
	least, known := n.Config["min-replicas-to-write"]
	switch {
	case worst.lag >= lagSeconds || worst.behind >= lagBytes:
		return Warn, found + ": a failover would lose that", "see the network and the load of the replicas"
	case known && least == "0":
		return Warn, found + "; min-replicas-to-write 0: a primary that is cut off still accepts writes, which are lost", "CONFIG SET min-replicas-to-write 1"
	case known:
		found += "; min-replicas-to-write " + least
	}
	return OK, found, ""
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
