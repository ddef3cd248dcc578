package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// AwaitReplicas waits until so many replicas confirm what is written. A replica is counted as online up to a second
// before the primary sends it anything.
func (s *Server) AwaitReplicas(n int) {
	s.t.Helper()
	s.Await(fmt.Sprintf("%d replicas that confirm", n), func(ctx context.Context, rdb *redis.Client) bool {
		for i := range 100 { // in a cluster, a key that lies here
			var wrote *redis.StatusCmd
			have := redis.NewIntCmd(ctx, "wait", n, 50)
			_, _ = rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
				wrote = p.Set(ctx, fmt.Sprint("storetest:", i), "", time.Millisecond)
				return p.Process(ctx, have)
			})
			if wrote.Err() == nil {
				return have.Err() == nil && have.Val() >= int64(n)
			}
		}
		return false
	})
}
