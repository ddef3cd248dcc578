package redisdb

import (
	"context"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
)

// MemoryUsed is used_memory by maxmemory, of the fullest primary. known is false if none has a limit. The embedded Redis has
// none.
func (db *DB) MemoryUsed(ctx context.Context) (ratio float64, known bool, err error) {
	if db.IsEmbedded() {
		return 0, false, nil
	}
	var mu sync.Mutex
	err = db.EachPrimary(ctx, func(ctx context.Context, primary *redis.Client) error {
		text, err := primary.Info(ctx, "memory").Result()
		if err != nil {
			return err
		}
		fields := infoFields(text)
		used, _ := strconv.ParseFloat(fields["used_memory"], 64)
		most, _ := strconv.ParseFloat(fields["maxmemory"], 64)
		if most <= 0 {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		ratio, known = max(ratio, used/most), true
		return nil
	})
	return ratio, known, Unavailable("info", err)
}
