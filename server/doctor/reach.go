package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// slowRoundTrip is a median that users notice: a token takes two round trips.
const slowRoundTrip = 5 * time.Millisecond

// reach checks whether Redis answers at all, and how fast. err is that of Diagnose.
func reach(d *redisdb.Diagnosis, err error) Check {
	c := Check{Name: "redis", State: OK}
	switch {
	case err != nil:
		c.State, c.Found, c.Fix = Fail, fmt.Sprintf("%s does not answer: %s", d.Where, cause(err)), fixReach(d, err)
		return c
	case d.Trouble != nil:
		c.State, c.Found, c.Fix = Fail, fmt.Sprintf("%s answers with an error: %s", d.Where, cause(d.Trouble)), fixReach(d, d.Trouble)
		return c
	case len(d.Latency) == 0:
		c.State, c.Found, c.Fix = Warn, d.Where+" takes longer than 2 s to answer", fixLatency
		return c
	}
	slices.Sort(d.Latency)
	median, worst := d.Latency[len(d.Latency)/2], d.Latency[len(d.Latency)-1]
	c.Found = fmt.Sprintf("%s answers in %s, at worst in %s", d.Where, milliseconds(median), milliseconds(worst))
	if median > slowRoundTrip {
		c.State, c.Fix = Warn, fixLatency
	}
	return c
}

const fixLatency = "run Mintkeep nearer to its Redis, and see SLOWLOG and LATENCY there: a token takes two round trips"

// shutOut is whether Redis will answer nothing else either: it rejected the credentials, or denied what a connection
// begins with, or the Sentinels do not tell where it is.
func shutOut(d *redisdb.Diagnosis) bool {
	if slices.ContainsFunc(d.Nodes, func(n redisdb.Node) bool { return n.Info != nil }) {
		return false // one node of a cluster answers
	}
	switch redisdb.ErrorPrefix(d.Trouble) {
	case "":
		return false
	case "NOAUTH", "WRONGPASS", "DENIED":
		return true
	case "NOPERM":
		command := deniedCommand(d.Trouble)
		return command != "" && command != "exists"
	}
	return lostBySentinels(d.Trouble)
}

func lostBySentinels(err error) bool { return strings.Contains(err.Error(), "all sentinels") }

// deniedCommand is what NOPERM names in quotes; empty if it is about keys.
func deniedCommand(err error) string {
	_, rest, _ := strings.Cut(err.Error(), "'")
	command, _, _ := strings.Cut(rest, "'")
	return command
}

// fixReach is what to do about an error.
func fixReach(d *redisdb.Diagnosis, err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "cluster support disabled"):
		return "the server is no cluster: use redis:// in MINTKEEP_REDIS_URL"
	case strings.Contains(text, "x509:"), strings.Contains(text, "tls:"):
		return "name the authority that signed the certificate by ?ca=FILE in MINTKEEP_REDIS_URL, and the name that is in it by &server_name="
	case strings.Contains(text, "connection refused"), strings.Contains(text, "no such host"):
		return "start Redis, or correct host and port in MINTKEEP_REDIS_URL"
	case lostBySentinels(err):
		return "correct the Sentinels, or the master's name behind them, in MINTKEEP_REDIS_URL"
	}
	switch redisdb.ErrorPrefix(err) {
	case "":
		return "check that Redis runs and is not stuck, and that no firewall is between: the port accepts connections and does not answer, or drops packets"
	case "NOAUTH":
		return "put user and password into MINTKEEP_REDIS_URL: redis://user:password@host"
	case "WRONGPASS":
		return "correct user and password in MINTKEEP_REDIS_URL; / is written %2F there, @ is %40"
	case "NOPERM":
		if command := deniedCommand(err); command != "" {
			return setUser(d.User, "+"+command) + "; docs/operations.md has all that is needed"
		}
		return setUser(d.User, "~mk:*") + "; docs/operations.md has all that is needed"
	case "DENIED":
		return "Redis is in protected mode: set a password or an ACL user there"
	case "LOADING":
		return "wait: Redis is reading its data from disk"
	case "CLUSTERDOWN":
		return "see CLUSTER NODES: a master is lost, or some slots have no master"
	case "MASTERDOWN":
		return "this is a replica without its primary: name the primary in MINTKEEP_REDIS_URL, or Sentinels"
	case "MOVED", "ASK":
		return "the server is a node of a cluster: use redis+cluster:// in MINTKEEP_REDIS_URL"
	}
	return "see the log of Redis"
}

// kind fails when the server is not of the kind that the URL says.
func kind(d *redisdb.Diagnosis) func(redisdb.Node) Check {
	return func(n redisdb.Node) Check {
		c := Check{Name: "mode", State: Fail}
		switch mode := n.Info["redis_mode"]; {
		case mode == "cluster" && !clustered(d):
			c.Found = "the server is a node of a cluster, and MINTKEEP_REDIS_URL says that it is not"
			c.Fix = "use redis+cluster:// in MINTKEEP_REDIS_URL"
		case mode == "sentinel":
			c.Found = "the server is a Sentinel, and MINTKEEP_REDIS_URL says that it is a Redis"
			c.Fix = "use redis+sentinel://host/master in MINTKEEP_REDIS_URL"
		default:
			return Check{}
		}
		return c
	}
}

func clustered(d *redisdb.Diagnosis) bool { return d.Cluster != nil || d.ClusterErr != nil }

// silence is the check of a server that does not answer INFO.
func silence(user string) func(redisdb.Node) Check {
	return func(n redisdb.Node) Check {
		if redisdb.ErrorPrefix(n.Err) == "NOPERM" {
			return Check{
				Name: "info", State: Unknown, Found: "not allowed to ask for it: version, persistence, eviction, memory and replication are not known",
				Fix: setUser(user, "+info"),
			}
		}
		return Check{Name: "info", State: Fail, Found: "does not answer: " + cause(n.Err), Fix: "check that this server runs and is not stuck"}
	}
}

// cause is the text of an error of the store, without the beginning that all of them have.
func cause(err error) string {
	if err == nil {
		return ""
	}
	if _, text, ok := strings.Cut(err.Error(), store.ErrUnavailable.Error()+": "); ok {
		return text
	}
	return err.Error()
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// brief rounds a duration for the report.
func brief(d time.Duration) string {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
