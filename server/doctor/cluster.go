package doctor

import (
	"fmt"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// slots is how many hash slots a cluster has.
const slots = 16384

// cluster checks that every slot is served.
func cluster(d *redisdb.Diagnosis) []Check {
	if !clustered(d) {
		return nil
	}
	c := Check{Name: "cluster", State: OK}
	if d.ClusterErr != nil {
		c.State, c.Found = Unknown, "not known: "+cause(d.ClusterErr)
		if redisdb.ErrorPrefix(d.ClusterErr) == "NOPERM" {
			c.Fix = setUser(d.User, "+cluster|info")
		}
		return []Check{c}
	}
	assigned, served := atoi(d.Cluster["cluster_slots_assigned"]), atoi(d.Cluster["cluster_slots_ok"])
	c.Found = fmt.Sprintf("state %s, %d of %d slots served by %d masters", d.Cluster["cluster_state"], served, slots, len(d.Nodes))
	switch {
	case assigned < slots:
		c.State, c.Fix = Fail, fmt.Sprintf("redis-cli --cluster fix: %d slots are not assigned to a master", slots-assigned)
	case served < slots || d.Cluster["cluster_state"] != "ok":
		c.State, c.Fix = Fail, "see CLUSTER NODES: a master is lost and has no replica to take over"
	}
	return []Check{c}
}

// sentinels asks for a quorum from every Sentinel of the URL.
func sentinels(verdicts []redisdb.SentinelVerdict) []Check {
	var checks []Check
	for _, v := range verdicts {
		c := Check{Name: "sentinel", State: OK, Found: v.Addr + ": " + v.Says}
		switch redisdb.ErrorPrefix(v.Err) {
		case "":
			if v.Err != nil {
				c.State, c.Found, c.Fix = Warn, v.Addr+" does not answer: "+cause(v.Err), "start it, or take it out of MINTKEEP_REDIS_URL"
			}
		case "NOPERM":
			c.State, c.Found, c.Fix = Unknown, v.Addr+": not allowed to ask for the quorum", "on the Sentinel: ACL SETUSER … +sentinel|ckquorum"
		default:
			c.State, c.Found, c.Fix = Warn, v.Addr+": "+cause(v.Err), "without a quorum no replica takes over from a lost primary: start the other Sentinels"
		}
		checks = append(checks, c)
	}
	return checks
}
