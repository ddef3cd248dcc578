package doctor

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// oldest is the first version that has every command that Mintkeep sends.
var oldest = []int{6, 2}

func version(n redisdb.Node) Check {
	c := Check{Name: "version", State: OK}
	if v := n.Info["valkey_version"]; v != "" {
		c.Found = "Valkey " + v
		return c
	}
	v := n.Info["redis_version"]
	c.Found = "Redis " + v
	switch {
	case v == "":
		c.State, c.Found = Unknown, "the server does not tell"
	case !atLeast(v, oldest...):
		c.State, c.Fix = Fail, "upgrade to Redis 6.2 or later, or to Valkey"
	}
	return c
}

// atLeast compares "7.0.15" with 7, 0.
func atLeast(version string, want ...int) bool {
	parts := strings.Split(version, ".")
	for i, w := range want {
		if i >= len(parts) {
			return false
		}
		if n, _ := strconv.Atoi(parts[i]); n != w {
			return n > w
		}
	}
	return true
}

// loading fails while the server reads its data from disk.
func loading(n redisdb.Node) Check {
	if n.Info["loading"] != "1" {
		return Check{}
	}
	found := "the server is reading its data from disk, and answers nothing meanwhile"
	if left := n.Info["loading_eta_seconds"]; left != "" {
		found += "; it expects to need " + left + " s more"
	}
	return Check{Name: "loading", State: Fail, Found: found, Fix: "wait"}
}

// persistence says what a crash of Redis undoes.
func persistence(n redisdb.Node) Check {
	c := Check{Name: "persistence"}
	c.State, c.Found, c.Fix = persisted(n)
	return c
}

func persisted(n redisdb.Node) (state State, found, fix string) {
	const turnOn = "CONFIG SET appendonly yes, and in redis.conf"
	const fullDisk = "see the log of Redis, and whether its disk is full: it rejects writes until then"
	save, known := n.Config["save"]
	switch {
	case n.Info["aof_enabled"] == "1" && n.Info["aof_last_write_status"] != "ok":
		return Fail, "Redis cannot write its append-only file", fullDisk
	case n.Info["rdb_last_bgsave_status"] == "err":
		return Fail, "Redis could not write its last snapshot", fullDisk
	case n.Info["aof_enabled"] == "1":
		return appended(n)
	case known && save == "":
		return Warn, "none: a restart of Redis loses all clients, users and keys", turnOn
	case known:
		return Warn, "snapshots only: a crash undoes what came after the last one, revocations too", turnOn
	}
	return Warn, "no append-only file: a crash can undo what came last, revocations too", turnOn
}

func appended(n redisdb.Node) (state State, found, fix string) {
	switch fsync := n.Config["appendfsync"]; fsync {
	case "always":
		return OK, "append-only file, appendfsync always: a crash loses nothing", ""
	case "everysec":
		return OK, "append-only file, appendfsync everysec: a crash can undo the last second, a revocation too", ""
	case "":
		return OK, "append-only file; CONFIG GET is not allowed, so how often it reaches the disk is not known", ""
	default:
		return Warn, "append-only file, appendfsync " + fsync + ": a crash of the machine can undo half a minute", "CONFIG SET appendfsync everysec, or always"
	}
}

// durable is whether Redis is set up for what a revocation waits for, and gives it at this moment.
func durable(ctx context.Context, s *store.Store) error {
	if err := s.CheckDurability(ctx); err != nil {
		return err
	}
	return s.Confirm(ctx)
}

// revocations checks whether Redis can give what a revocation waits for; err is that of durable. If revocations wait for
// the answer of Redis alone there is no check: see persistence.
func revocations(asked config.Durability, err error) []Check {
	if asked == (config.Durability{}) {
		return nil
	}
	c := Check{Name: "revocations", State: OK, Found: "MINTKEEP_REVOKE_DURABILITY=" + asked.String() + " is met"}
	switch {
	case errors.Is(err, store.ErrDurability):
		c.State = Fail
		c.Found, c.Fix, _ = strings.Cut(err.Error(), ": ")
	case errors.Is(err, store.ErrUnconfirmed):
		c.State, c.Found = Fail, "answered with 503 at this moment: "+cause(err)
		c.Fix = "check that the replicas of Redis run and keep up"
	case err != nil:
		c.State, c.Found = Unknown, "whether MINTKEEP_REVOKE_DURABILITY="+asked.String()+" is met is not known: "+cause(err)
	}
	return []Check{c}
}
