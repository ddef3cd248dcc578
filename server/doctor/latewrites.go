package doctor

import (
	"context"
	"errors"
	"strings"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// lateWrites checks whether a write whose answer was given up can be stopped at Redis.
func lateWrites(ctx context.Context, s *store.Store, user string) Check {
	c := Check{Name: "late writes", State: OK, Found: "a write that is given up is stopped: CLIENT KILL closes its connection"}
	err := s.CheckKill(ctx)
	switch {
	case errors.Is(err, redisdb.ErrKill):
		c.State, c.Found = Warn, "a write that is given up may be applied later: "+strings.TrimPrefix(err.Error(), redisdb.ErrKill.Error()+": ")
		c.Fix = setUser(user, "+client|kill") + ", and connect to Redis itself"
	case err != nil:
		c.State, c.Found = Unknown, "whether a late write can be stopped is not known: "+cause(err)
	}
	return c
}
