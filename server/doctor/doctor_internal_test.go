package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// line is a check as it is compared: "state: what was found → fix".
func (c Check) line() string {
	if c.Name == "" {
		return "nothing"
	}
	text := string(c.State) + ": " + c.Found
	if c.Fix != "" {
		text += " → " + c.Fix
	}
	return text
}

// info makes INFO of "name:value" words.
func info(fields string) map[string]string {
	m := map[string]string{}
	for field := range strings.FieldsSeq(fields) {
		name, value, _ := strings.Cut(field, ":")
		m[name] = value
	}
	return m
}

// Each case is a server's INFO and CONFIG GET, and words that must be in the check's line.
func TestChecksOfServer(t *testing.T) {
	alone := &redisdb.Diagnosis{}
	inCluster := &redisdb.Diagnosis{Cluster: map[string]string{}}
	const replicas = "role:master connected_slaves:1 master_repl_offset:3000000 slave0:ip=10.0.0.2,port=6379,state=online,offset="
	for name, tt := range map[string]struct {
		check        func(redisdb.Node) Check
		info, config string
		want         string
	}{
		"old":               {version, "redis_version:6.0.16", "", "fail: Redis 6.0.16 → upgrade"},
		"oldest":            {version, "redis_version:6.2.0", "", "ok: Redis 6.2.0"},
		"ten":               {version, "redis_version:10.0.1", "", "ok: Redis 10.0.1"},
		"Valkey":            {version, "redis_version:7.2.4 valkey_version:8.1.0", "", "ok: Valkey 8.1.0"},
		"no version":        {version, "", "", "unknown: "},
		"loading":           {loading, "loading:1 loading_eta_seconds:7", "", "fail: the server is reading its data from disk, and answers nothing meanwhile; it expects to need 7 s more → wait"},
		"loaded":            {loading, "loading:0", "", "nothing"},
		"fsync always":      {persistence, "aof_enabled:1 aof_last_write_status:ok", "appendfsync:always", "ok: append-only file, appendfsync always: a crash loses nothing"},
		"fsync everysec":    {persistence, "aof_enabled:1 aof_last_write_status:ok", "appendfsync:everysec", "ok: append-only file, appendfsync everysec"},
		"fsync no":          {persistence, "aof_enabled:1 aof_last_write_status:ok", "appendfsync:no", "warn: append-only file, appendfsync no"},
		"fsync not told":    {persistence, "aof_enabled:1 aof_last_write_status:ok", "", "is not known"},
		"AOF broken":        {persistence, "aof_enabled:1 aof_last_write_status:err", "appendfsync:always", "fail: Redis cannot write its append-only file"},
		"RDB broken":        {persistence, "aof_enabled:0 rdb_last_bgsave_status:err", "save:3600", "fail: Redis could not write its last snapshot"},
		"RDB only":          {persistence, "aof_enabled:0 rdb_last_bgsave_status:ok", "save:3600", "warn: snapshots only"},
		"no persistence":    {persistence, "aof_enabled:0 rdb_last_bgsave_status:ok", "save:", "warn: none: a restart of Redis loses"},
		"save not told":     {persistence, "aof_enabled:0 rdb_last_bgsave_status:ok", "", "warn: no append-only file"},
		"evicts":            {eviction, "maxmemory_policy:volatile-lru", "", "fail: volatile-lru: when memory is short, Redis drops active tokens, or clients → CONFIG SET maxmemory-policy noeviction"},
		"does not evict":    {eviction, "maxmemory_policy:noeviction", "", "ok: noeviction"},
		"policy not told":   {eviction, "", "", "unknown: "},
		"memory":            {memory, "used_memory:786432 maxmemory:1048576", "", "ok: 768.0 KB of 1.0 MB, 75 %"},
		"memory short":      {memory, "used_memory:797000 maxmemory:1048576", "", "warn: 778.3 KB of 1.0 MB, 76 % → raise maxmemory soon"},
		"memory gone":       {memory, "used_memory:960000 maxmemory:1048576", "", "fail: 937.5 KB of 1.0 MB, 91 % → raise maxmemory"},
		"no limit":          {memory, "used_memory:1000 used_memory_rss:2000 maxmemory:0 total_system_memory:17179869184", "", "ok: 1000 B, with no maxmemory, on a machine of 16.0 GB"},
		"machine full":      {memory, "used_memory:1000 used_memory_rss:15000000000 maxmemory:0 total_system_memory:17179869184", "", "warn: "},
		"machine not told":  {memory, "used_memory:1000 maxmemory:0", "", "ok: 1000 B, with no maxmemory"},
		"no replica":        {replication(alone), "role:master connected_slaves:0", "min-replicas-to-write:0", "ok: no replica"},
		"none in a cluster": {replication(inCluster), "role:master connected_slaves:0", "", "warn: no replica: no server takes over"},
		"replica":           {replication(alone), "role:slave master_host:10.0.0.1 master_port:6379 master_link_status:down", "", "fail: this is a replica of 10.0.0.1:6379, and accepts no writes; its link is down → name the primary"},
		"in step":           {replication(alone), replicas + "2999000,lag=1", "min-replicas-to-write:1", "fail: min-replicas-to-write 1, and 0 are good"},
		"good":              {replication(alone), replicas + "2999000,lag=1 min_slaves_good_slaves:1", "min-replicas-to-write:1", "ok: replicas: 1 online, at most 1000 B and 1 s behind; min-replicas-to-write 1"},
		"not required":      {replication(alone), replicas + "2999000,lag=1", "min-replicas-to-write:0", "warn: replicas: 1 online, at most 1000 B and 1 s behind; min-replicas-to-write 0"},
		"CONFIG not told":   {replication(alone), replicas + "2999000,lag=1", "", "ok: replicas: 1 online"},
		"bytes behind":      {replication(alone), replicas + "1000000,lag=1", "", "warn: replicas: 1 online, at most 1.9 MB and 1 s behind"},
		"seconds behind":    {replication(alone), replicas + "3000000,lag=10", "", "warn: replicas: 1 online, at most 0 B and 10 s behind"},
		"still syncing":     {replication(alone), "role:master connected_slaves:1 slave0:ip=10.0.0.2,port=6379,state=send_bulk", "", "warn: the replica 10.0.0.2:6379 is not online but send_bulk"},
		"node of a cluster": {kind(alone), "redis_mode:cluster", "", "fail: the server is a node of a cluster"},
		"is a cluster":      {kind(inCluster), "redis_mode:cluster", "", "nothing"},
		"is a Sentinel":     {kind(alone), "redis_mode:sentinel", "", "fail: the server is a Sentinel"},
	} {
		n := redisdb.Node{Info: info(tt.info), Config: info(tt.config)}
		if got := tt.check(n).line(); !strings.Contains(got, tt.want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

func TestRevocations(t *testing.T) {
	if got := revocations(config.Durability{}, nil); got != nil {
		t.Errorf("nothing is asked for: got %v", got)
	}
	for want, err := range map[string]error{
		"ok: MINTKEEP_REVOKE_DURABILITY=replicas:2 is met":         nil,
		"fail: it needs a disk, and this Redis has none → buy one": fmt.Errorf("it needs a disk, and this Redis has none: buy one%w", lacking{}),
		"is not known: lost": errors.New("lost"),
	} {
		if got := revocations(config.Durability{Replicas: 2}, err)[0].line(); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// lacking is what CheckDurability says of a Redis that is not set up for it.
type lacking struct{}

func (lacking) Error() string        { return "" }
func (lacking) Is(target error) bool { return target == store.ErrDurability }

func TestReach(t *testing.T) {
	ms := time.Millisecond
	quick, slow := []time.Duration{ms, 9 * ms, 2 * ms}, []time.Duration{6 * ms, 5 * ms, 40 * ms}
	for _, tt := range []struct {
		d    redisdb.Diagnosis
		err  error
		want string
	}{
		{redisdb.Diagnosis{Where: "h:1", Latency: quick}, nil, "ok: h:1 answers in 2.00 ms, at worst in 9.00 ms"},
		{redisdb.Diagnosis{Where: "h:1", Latency: slow}, nil, "warn: h:1 answers in 6.00 ms, at worst in 40.00 ms → run Mintkeep nearer"},
		{redisdb.Diagnosis{Where: "h:1"}, nil, "warn: h:1 takes longer than 2 s"},
		{redisdb.Diagnosis{Where: "h:1"}, errors.New("dial tcp: connection refused"), "fail: h:1 does not answer: dial tcp: connection refused → start Redis"},
		{redisdb.Diagnosis{Where: "h:1"}, errors.New("i/o timeout"), "fail: h:1 does not answer: i/o timeout → check that Redis runs"},
		{redisdb.Diagnosis{Where: "h:1"}, errors.New("tls: x509: certificate signed by unknown authority"), "?ca=FILE"},
	} {
		if got := reach(&tt.d, tt.err).line(); !strings.Contains(got, tt.want) {
			t.Errorf("got %s\nwant %s", got, tt.want)
		}
	}
}

func TestClockAndRights(t *testing.T) {
	for ahead, want := range map[time.Duration]string{
		time.Second:             "ok: ",
		-time.Second:            "ok: ",
		1100 * time.Millisecond: "warn: Redis is 1.1s ahead of this machine → run NTP",
		-time.Minute:            "warn: Redis is 1m0s behind this machine",
		61 * time.Second:        "fail: Redis is 1m1s ahead of",
	} {
		if got := clock("mint")(redisdb.Node{Ahead: ahead}).line(); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	for want, n := range map[string]redisdb.Node{
		"ok: mint has all rights": {},

		"unknown: not known: lost": {DeniedErr: errors.New("lost")},

		"fail: mint lacks rights that Mintkeep needs: +get ~mk:c:* → ACL SETUSER mint +get ~mk:c:* +info": {Denied: []redisdb.Right{{Rule: "+get"}, {Rule: "~mk:c:*"}, {Rule: "+info", Optional: true}}},
		"warn: mint has all rights that serve needs;":                                                     {Denied: []redisdb.Right{{Rule: "+info", Optional: true}}},
	} {
		if got := rights("mint")(n).line(); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestCluster(t *testing.T) {
	for fields, want := range map[string]string{
		"cluster_state:ok cluster_slots_assigned:16384 cluster_slots_ok:16384":   "ok: state ok, 16384 of 16384 slots served",
		"cluster_state:fail cluster_slots_assigned:16373 cluster_slots_ok:16373": "fail: state fail, 16373 of 16384 slots served by 0 masters → redis-cli --cluster fix: 11 slots",
		"cluster_state:ok cluster_slots_assigned:16384 cluster_slots_ok:10923":   "fail: state ok, 10923 of 16384",
		"cluster_state:fail cluster_slots_assigned:16384 cluster_slots_ok:16384": "fail: state fail",
	} {
		if got := cluster(&redisdb.Diagnosis{Cluster: info(fields)})[0].line(); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	if got := cluster(&redisdb.Diagnosis{ClusterErr: errors.New("lost")})[0].line(); got != "unknown: not known: lost" {
		t.Errorf("got %s", got)
	}
	if got := cluster(&redisdb.Diagnosis{}); got != nil {
		t.Errorf("no cluster: got %v", got)
	}
}

func TestPerNode(t *testing.T) {
	says := func(found string) redisdb.Node {
		return redisdb.Node{Addr: "at-" + found, Info: map[string]string{"say": found}}
	}
	say := func(n redisdb.Node) Check {
		if n.Info["say"] == "" {
			return Check{}
		}
		return Check{Name: "x", State: OK, Found: n.Info["say"]}
	}
	for _, tt := range []struct {
		nodes   []redisdb.Node
		several bool
		want    string
	}{
		{[]redisdb.Node{says("a")}, false, "a"},
		{[]redisdb.Node{says("a")}, true, "at-a: a"},
		{[]redisdb.Node{says("a"), says("a")}, true, "2 masters: a"},
		{[]redisdb.Node{says("a"), says("b")}, true, "at-a: a|at-b: b"},
		{[]redisdb.Node{says(""), says("b")}, true, "at-b: b"},
		{[]redisdb.Node{says(""), says("")}, true, ""},
		{nil, true, ""},
	} {
		var got []string
		for _, c := range perNode(tt.nodes, tt.several, say) {
			got = append(got, c.Found)
		}
		if strings.Join(got, "|") != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestSigningKeys(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	ring := func(active, next time.Duration) *store.Keyring {
		return &store.Keyring{Keys: []store.SigningKey{
			{ID: "a", Algorithm: "ES256", ActivatedAt: now.Add(-active)}, {ID: "n", PublishedAt: now.Add(-next)},
		}}
	}
	const day = 24 * time.Hour
	for _, tt := range []struct {
		ring     *store.Keyring
		err      error
		rotation time.Duration
		want     string
	}{
		{nil, store.ErrNotFound, day, "ok: none yet: the first start creates them"},
		{nil, store.ErrNewerRecord, day, "fail: a newer version"},
		{nil, store.ErrKeyringDamaged, day, "fail: the Redis key mk:signing-keys is damaged → restore"},
		{nil, store.ErrUnavailable, day, "unknown: not read"},
		{ring(10*day, 10*day), nil, 30 * day, "ok: ES256, 10 days old; next rotation 2026-04-20T12:00:00Z"},
		{ring(5*time.Hour, 10*day), nil, 30 * day, "ok: ES256, 5 hours old;"},
		{ring(90*time.Second, 10*day), nil, 30 * day, "ok: ES256, 1 minutes old;"},
		{ring(10*day, 10*day), nil, 0, "ok: ES256, 10 days old; rotated manually only"},
		{ring(30*day+4*time.Minute, 10*day), nil, 30 * day, "ok: "},
		{ring(30*day+6*time.Minute, 10*day), nil, 30 * day, "warn: ES256, 30 days old; next rotation 2026-03-31T11:54:00Z, which is overdue → check that a server runs"},
		{ring(40*day, time.Minute), nil, 30 * day, "ok: ES256, 40 days old; next rotation 2026-03-31T12:09:00Z"},
	} {
		got := signingKeys(tt.ring, tt.err, &config.Config{SigningRotation: tt.rotation}, now).line()
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("got %s\nwant %s", got, tt.want)
		}
	}
}

func TestRecords(t *testing.T) {
	some := store.Unreadable{Count: 7, IDs: []string{"a", "b"}}
	for want, c := range map[string]store.RecordScan{
		"ok: 3, all readable": {Read: 3},
		"ok: none":            {},
		"ok: the first 3 are readable; the others": {Read: 3, Partial: true},
		"unknown: not read: lost":                  {Partial: true, Err: errors.New("lost")},
		"fail: of 9, these cannot be read: 7 da":   {Read: 9, Damaged: some},
		"7 newer, a, b, … → a newer version":       {Read: 9, Newer: some},
	} {
		c.Kind = "clients"
		if got := records(c).line(); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestDated(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	certificate := func(from, until time.Duration) *x509.Certificate {
		return &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(until)}
	}
	const day = 24 * time.Hour
	for _, tt := range []struct {
		chain []*x509.Certificate
		want  string
	}{
		{[]*x509.Certificate{certificate(-day, 15*day)}, "ok: valid until 2026-04-15T12:00:00Z"},
		{[]*x509.Certificate{certificate(-day, 13*day)}, "warn: valid for 13 days more, until 2026-04-13T12:00:00Z → renew"},
		{[]*x509.Certificate{certificate(-day, 100*day), certificate(-day, 13*day)}, "warn: valid for 13 days"},
		{[]*x509.Certificate{certificate(-2*day, -day)}, "fail: expired at 2026-03-30T12:00:00Z → renew"},
		{[]*x509.Certificate{certificate(time.Hour, 99*day)}, "fail: not valid before 2026-03-31T13:00:00Z → renew"},
		{[]*x509.Certificate{certificate(-day, 99*day), certificate(time.Hour, 100*day)}, "fail: not valid before"},
	} {
		if got := dated("tls", tt.chain, now, "renew").line(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("got %s\nwant %s", got, tt.want)
		}
	}
}

func TestSettings(t *testing.T) {
	cfg := &config.Config{Issuer: "http://auth.example.com", RedisURL: "redis://h", AdminToken: "hunter2"}
	got := fmt.Sprint(settings(cfg, []string{"MINTKEEP_ISSUER is plain http", "MINTKEEP_TLS_KEY: every user", "else"}))
	for _, want := range []string{"{issuer warn MINTKEEP_ISSUER is plain http }", "{tls key warn", "{settings warn else", "{admin token ok set: "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "issuer ok") || strings.Contains(got, "hunter2") {
		t.Errorf("got %s", got)
	}
}
