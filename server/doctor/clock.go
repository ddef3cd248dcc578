package doctor

import (
	"fmt"
	"time"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Clocks are compared because tokens, keys and sessions expire by both: that of this process, and that of Redis.
const (
	clocksDiffer = time.Second
	clocksClash  = time.Minute
)

func clock(user string) func(redisdb.Node) Check {
	return func(n redisdb.Node) Check {
		c := Check{Name: "clock", State: OK, Found: "this machine and Redis agree within 1 s"}
		apart := n.Ahead.Abs()
		switch {
		case n.ClockErr != nil:
			c.State, c.Found = Unknown, "not known: "+cause(n.ClockErr)
			if redisdb.ErrorPrefix(n.ClockErr) == "NOPERM" {
				c.Fix = setUser(user, "+time")
			}
			return c
		case apart <= clocksDiffer:
			return c
		case apart > clocksClash:
			c.State = Fail
		default:
			c.State = Warn
		}
		where := "ahead of"
		if n.Ahead < 0 {
			where = "behind"
		}
		c.Found, c.Fix = fmt.Sprintf("Redis is %s %s this machine", brief(apart), where), "run NTP on both machines"
		return c
	}
}
