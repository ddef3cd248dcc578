package store

import (
	"context"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// The keys that belong to no noun. The others are declared with theirs; doc.go has all of them.
const (
	epochKey  = "mk:epoch" // and in a cluster a prefix
	fenceKey  = "mk:fence"
	absentKey = "mk:ping" // never written
)

// access is what a Store does with Redis. The probe key is mk:doctor; it expires after 10 s.
var access = redisdb.Access{
	Commands: []string{
		"set mk:doctor x px 10000",
		"exists mk:doctor", "get mk:doctor", "pttl mk:doctor", "strlen mk:doctor",
		"hget mk:doctor f", "hgetall mk:doctor", "hmget mk:doctor f", "hexists mk:doctor f", "hlen mk:doctor", "hstrlen mk:doctor f",
		"zcard mk:doctor", "zscore mk:doctor m", "zcount mk:doctor 0 0", "zrange mk:doctor 0 0", "zrangebyscore mk:doctor 0 0",
		"xrevrange mk:doctor + - count 1", "xlen mk:doctor", "xrange mk:doctor 0-0 0-0", "xread count 1 streams mk:doctor 0-0",
		"hset mk:doctor f v", "hsetnx mk:doctor f v", "hdel mk:doctor f", "hincrby mk:doctor f 1", "incrby mk:doctor 1",
		"zadd mk:doctor 0 m", "zincrby mk:doctor 1 m", "zrem mk:doctor m", "zremrangebyscore mk:doctor 0 0", "zremrangebyrank mk:doctor 0 0",
		"xadd mk:doctor * f v", "xtrim mk:doctor maxlen 1", "xdel mk:doctor 0-0",
		"persist mk:doctor", "expire mk:doctor 10", "pexpire mk:doctor 10000", "del mk:doctor",
		"watch mk:doctor", "unwatch", "multi", "exec",
	},
	Optional: []string{"info server", "config|get appendfsync", "time", "wait 0 0", "memory|usage mk:doctor"},
	Keys: []string{
		"mk:c:*", "mk:clients:id", "mk:clients:name", "mk:clients:word", "mk:secrets", "mk:secrets:*", "mk:p:*", "mk:e:*", "mk:users:id", "mk:users:name", "mk:users:word",
		"mk:t:*", "mk:j:*", "mk:k:*", "mk:pk:*", "mk:pl:*", "mk:kl:*", "mk:keys:id", "mk:keys:name", "mk:keys:word", "mk:keys:live", "mk:keys:due",
		"mk:u:*", "mk:ku:*", "mk:kd:*", "mk:kf:*", "mk:s:*", "mk:ps:*", "mk:o:*", "mk:n:*", "mk:nc:*", "mk:nd:*", "mk:nt:requests:*", "mk:nt:rejected:*", "mk:nt:keys:*", "mk:r:*", "mk:f:*",
		"mk:signing-keys", "mk:signing-keys:claim:*", "mk:audit", "mk:audit:*", "mk:refusals", "mk:guards", "mk:guards:of:*", "mk:guards:joined:*", "mk:guards:probe:{mk:feed}:*", "mk:epoch", "mk:epoch:*", "mk:epoch:alive", "mk:epoch:alive:*", "mk:fence", "mk:feed", "mk:feed:beats:{mk:feed}", "mk:ping",
	},
	Absent: absentKey,
}

// Diagnose looks at Redis, and at what its ACL allows the store: see [redisdb.DB.Diagnose].
func (s *Store) Diagnose(ctx context.Context) (*redisdb.Diagnosis, error) {
	return s.db.Diagnose(ctx, access)
}
