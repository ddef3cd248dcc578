package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// redisCommands are the names that become labels, as the Redis client spells them.
// "pipeline" is a batch, "multi" a transaction, "dial" a new connection.
var redisCommands = set(
	"get", "set", "setnx", "setex", "mget", "del", "unlink", "exists", "expire", "pexpire", "expireat", "pexpireat", "pttl", "ttl",
	"incr", "incrby", "decr", "getdel", "getex",
	"hget", "hset", "hsetnx", "hmget", "hgetall", "hdel", "hincrby", "hexists", "hlen", "hkeys",
	"sadd", "srem", "smembers", "sismember", "scard",
	"zadd", "zrem", "zrange", "zrangebylex", "zrangebyscore", "zrevrange", "zrevrangebyscore", "zrevrangebylex",
	"zcard", "zscore", "zcount", "zremrangebyrank", "zremrangebyscore",
	"xadd", "xrange", "xrevrange", "xlen", "xtrim", "xdel",
	"lpush", "rpush", "lrange", "ltrim", "llen",
	"eval", "evalsha", "eval_ro", "evalsha_ro", "script", "fcall",
	"watch", "unwatch", "multi", "exec", "pipeline", "dial",
	"wait", "waitaof", "ping", "hello", "auth", "select", "client", "cluster", "config", "info", "role", "time", "dbsize",
)

// redisBuckets begin at a round trip over a local socket.
var redisBuckets = []float64{
	0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2,
}

// Redis counts one command, or one batch as "pipeline" or "multi", and its failure if
// err is not nil. It is for store.Options.Observe. The answer "no such key" is no
// failure: the store passes nil for it.
func (m *Metrics) Redis(cmd string, d time.Duration, err error) {
	if m == nil {
		return
	}
	if _, ok := redisCommands[cmd]; !ok {
		cmd = other
	}
	m.redisDurations.series(cmd).Observe(d.Seconds())
	if err != nil {
		m.redisErrors.series(cmd).Inc()
	}
}

func (m *Metrics) registerRedis() {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "mintkeep_redis_command_duration_seconds",
		Help:    "Duration of round trips to Redis, including failed ones, by command.",
		Buckets: redisBuckets,
	}, []string{"command"})
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_redis_errors_total",
		Help: "Redis commands that failed, by command.",
	}, []string{"command"})
	m.registry.MustRegister(durations, failures)

	m.redisDurations = newTable(len(redisCommands)+1, other, func(cmd string) prometheus.Observer {
		failures.WithLabelValues(cmd) // at zero from the first command on
		return durations.WithLabelValues(cmd)
	})
	m.redisErrors = newTable(len(redisCommands)+1, other, func(cmd string) prometheus.Counter {
		return failures.WithLabelValues(cmd)
	})
}

// newBehind is for the one alert that an operator must act on.
func newBehind(read func() bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mintkeep_store_behind",
		Help: "1 while every request gets 503 because Redis lost data that this replica has seen: restore a backup and run mintkeep fence.",
	}, func() float64 { return oneIf(read()) })
}

// pool reads the store's connection pool once a scrape.
type pool struct {
	read func() redisdb.PoolStats

	connections, idle, hits, misses, timeouts, stale *prometheus.Desc
}

func newPool(read func() redisdb.PoolStats) *pool {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("mintkeep_redis_pool_"+name, help, nil, nil)
	}
	return &pool{
		read:        read,
		connections: desc("connections", "Open connections to Redis."),
		idle:        desc("idle_connections", "Open connections to Redis that are idle."),
		hits:        desc("hits_total", "Times an idle connection was found in the pool."),
		misses:      desc("misses_total", "Times no idle connection was found in the pool."),
		timeouts:    desc("timeouts_total", "Times waiting for a connection of the pool timed out."),
		stale:       desc("stale_total", "Stale connections that were removed from the pool."),
	}
}

func (p *pool) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.connections, p.idle, p.hits, p.misses, p.timeouts, p.stale} {
		ch <- d
	}
}

func (p *pool) Collect(ch chan<- prometheus.Metric) {
	s := p.read()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v uint32) {
		ch <- prometheus.MustNewConstMetric(d, kind, float64(v))
	}
	send(p.connections, prometheus.GaugeValue, s.Total)
	send(p.idle, prometheus.GaugeValue, s.Idle)
	send(p.hits, prometheus.CounterValue, s.Hits)
	send(p.misses, prometheus.CounterValue, s.Misses)
	send(p.timeouts, prometheus.CounterValue, s.Timeouts)
	send(p.stale, prometheus.CounterValue, s.Stale)
}

func set(names ...string) map[string]struct{} {
	s := make(map[string]struct{}, len(names))
	for _, n := range names {
		s[n] = struct{}{}
	}
	return s
}
