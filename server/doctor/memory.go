package doctor

import (
	"fmt"
	"strconv"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// eviction checks that Redis evicts nothing: it would be an active token, or a client.
func eviction(n redisdb.Node) Check {
	c := Check{Name: "eviction", State: OK, Found: n.Info["maxmemory_policy"]}
	switch c.Found {
	case "noeviction":
	case "":
		c.State, c.Found = Unknown, "the server does not tell its maxmemory-policy"
	default:
		c.State, c.Found = Fail, c.Found+": when memory is short, Redis drops active tokens, or clients"
		c.Fix = "CONFIG SET maxmemory-policy noeviction, and in redis.conf"
	}
	return c
}

// The shares of the memory, in per cent, from which it is short, and from which it is nearly used up.
const (
	memoryShort = 75
	memoryGone  = 90
)

func memory(n redisdb.Node) Check {
	c := Check{Name: "memory", State: OK}
	used, limit := number(n, "used_memory"), number(n, "maxmemory")
	if limit > 0 {
		share := used * 100 / limit
		c.Found = fmt.Sprintf("%s of %s, %d %%", bytes(used), bytes(limit), share)
		switch {
		case share > memoryGone:
			c.State, c.Fix = Fail, "raise maxmemory: when it is full, no token is issued"
		case share > memoryShort:
			c.State, c.Fix = Warn, "raise maxmemory soon: when it is full, no token is issued"
		}
		return c
	}
	machine := number(n, "total_system_memory")
	c.Found = bytes(used) + ", with no maxmemory"
	if machine > 0 {
		c.Found += ", on a machine of " + bytes(machine)
		if number(n, "used_memory_rss")*100/machine > memoryShort {
			c.State, c.Fix = Warn, "give the machine more memory, or set maxmemory: the system kills a process that takes too much"
		}
	}
	return c
}

// number is a field of INFO; zero if it is not there.
func number(n redisdb.Node, field string) int64 {
	v, _ := strconv.ParseInt(n.Info[field], 10, 64)
	return v
}

// bytes writes a size as Redis does, in powers of 1024.
func bytes(n int64) string {
	size, unit := float64(n), 0
	for size >= 1024 && unit < 4 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %cB", size, "KMGT"[unit-1])
}
