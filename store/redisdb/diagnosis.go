package redisdb

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Diagnosis is what Redis says of itself to its operator, and how it is reached.
type Diagnosis struct {
	Where string // host:port, or several; never a password
	User  string // of the ACL: "default" unless the URL names one

	// Latency is what some round trips took, one after the other. Trouble is what they met: an error for an answer,
	// or in a cluster a primary that does not answer while others do.
	Latency []time.Duration
	Trouble error

	Nodes        []Node              // the server, or each primary of the cluster; sorted by address
	Cluster      map[string]string   // CLUSTER INFO, by its fields; nil unless the URL is a cluster's
	ClusterErr   error               // why Cluster is not known
	Sentinels    []SentinelVerdict   // one for each that the URL names
	Certificates []ServerCertificate // one for each address of the URL, with TLS
}

// Node is one server as it sees itself. What it may not be asked is nil.
type Node struct {
	Addr   string
	Info   map[string]string // INFO, by its fields: "redis_version", "maxmemory_policy", …
	Config map[string]string // CONFIG GET, of the parameters in [settingsAsked]
	Err    error             // why Info is not known

	// Ahead is how far its clock is ahead of ours; half a round trip is taken off. ClockErr: it is not known.
	Ahead    time.Duration
	ClockErr error

	Denied    []Right // what its ACL keeps from us
	DeniedErr error   // why that is not known
}

// settingsAsked are the parameters whose values INFO does not tell.
var settingsAsked = []string{"save", "appendfsync", "min-replicas-to-write"}

const (
	roundTrips = 10
	// nodeTimeout bounds what is asked of one server, so that one that hangs does not use up the time for
	// the others; they are asked at once.
	nodeTimeout = 2 * time.Second
)

// Diagnose looks at Redis, and changes nothing that lasts. The error, which matches ErrUnavailable, says that no server
// answers: the rest is not known then, but for Where, User and Certificates. It takes 6 s at most, and not longer than
// ctx. It is not for the embedded Redis.
func (db *DB) Diagnose(ctx context.Context, a Access) (*Diagnosis, error) {
	d := &Diagnosis{Where: db.target.where(), User: db.target.user}
	if d.User == "" {
		d.User = "default"
	}
	var aside sync.WaitGroup
	aside.Go(func() { d.Certificates = db.certificates(ctx) })
	aside.Go(func() { d.Sentinels = db.askSentinels(ctx) })
	defer aside.Wait()

	err := db.timeRoundTrips(ctx, a, d)
	if d.Trouble == nil {
		d.Trouble = Unavailable("ping", err)
	}
	if err != nil && !db.IsCluster() {
		return d, d.Trouble
	}
	if db.IsCluster() {
		d.Cluster, d.ClusterErr = db.clusterInfo(ctx)
	}
	if d.Nodes, err = db.askNodes(ctx, a); err != nil {
		return d, Unavailable("find the primaries", err)
	}
	if !slices.ContainsFunc(d.Nodes, Node.Answers) {
		return d, cmp.Or(d.Trouble, Unavailable("find the primaries", errors.New("there are none")))
	}
	return d, nil
}

func (t target) where() string {
	hosts := strings.Join(t.addrs, ",")
	if t.kind == sentinel {
		return t.master + " of " + hosts
	}
	return hosts
}

// timeRoundTrips asks after an absent key. The first round trip makes the connection, and does not count.
func (db *DB) timeRoundTrips(ctx context.Context, a Access, d *Diagnosis) error {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	for i := range roundTrips + 1 {
		start := time.Now()
		err := db.Client.Exists(ctx, a.Absent).Err()
		took := time.Since(start)
		if err != nil && ErrorPrefix(err) == "" {
			if i > 1 && ctx.Err() != nil { // it is slow, which is what was asked
				return nil
			}
			return err
		}
		if err != nil {
			d.Trouble = Unavailable("ping", err)
		}
		if i > 0 {
			d.Latency = append(d.Latency, took)
		}
	}
	return nil
}

func (db *DB) clusterInfo(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	text, err := db.Client.ClusterInfo(ctx).Result()
	if err != nil {
		return nil, Unavailable("cluster info", err)
	}
	return infoFields(text), nil
}

// askNodes asks every primary, all at once.
func (db *DB) askNodes(ctx context.Context, a Access) ([]Node, error) {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	c, ok := db.Client.(*redis.ClusterClient)
	if !ok {
		return []Node{db.askNode(ctx, a, db.Client, db.target.where())}, nil
	}
	var mu sync.Mutex
	var nodes []Node
	err := c.ForEachMaster(ctx, func(ctx context.Context, primary *redis.Client) error {
		n := db.askNode(ctx, a, primary, primary.Options().Addr)
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, n)
		return nil
	})
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Addr, b.Addr) })
	return nodes, err
}

func (db *DB) askNode(ctx context.Context, a Access, c redis.Cmdable, addr string) Node {
	n := Node{Addr: addr}
	text, err := c.Info(ctx).Result()
	if n.Err = Unavailable("info", err); err == nil {
		n.Info = infoFields(text)
	} else if ErrorPrefix(err) == "" {
		n.ClockErr = n.Err
		return n // it would not answer the rest either
	}
	n.Config = askSettings(ctx, c)
	n.Ahead, n.ClockErr = db.clockOf(ctx, c)
	n.Denied, n.DeniedErr = a.denied(ctx, c, db.IsCluster())
	return n
}

// Answers is whether the server answers, be it with an error.
func (n Node) Answers() bool { return n.Err == nil || ErrorPrefix(n.Err) != "" }

// infoFields reads "name:value" lines.
func infoFields(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// askSettings is nil when CONFIG GET is not allowed, or not there, as with managed services.
func askSettings(ctx context.Context, c redis.Cmdable) map[string]string {
	settings := map[string]string{}
	for _, name := range settingsAsked { // one by one: Redis before 7.0 takes one name
		answer, err := c.ConfigGet(ctx, name).Result()
		if err != nil {
			return nil
		}
		if value, there := answer[name]; there {
			settings[name] = value
		}
	}
	return settings
}

// clockOf compares the clocks by the quickest of some round trips.
func (db *DB) clockOf(ctx context.Context, c redis.Cmdable) (ahead time.Duration, err error) {
	quickest := time.Duration(-1)
	for range 3 {
		start, now := time.Now(), db.now()
		theirs, err := c.Time(ctx).Result()
		took := time.Since(start)
		if err != nil {
			return 0, Unavailable("time", err)
		}
		if quickest < 0 || took < quickest {
			quickest, ahead = took, theirs.Sub(now.Add(took/2))
		}
	}
	return ahead, nil
}

// Address is where the Redis is, as text for a log or a page: the hosts, and never a password. Empty: in this process.
func (db *DB) Address() string {
	t := db.target
	at := strings.Join(t.addrs, ",")
	switch t.kind {
	case sentinel:
		at = t.master + " behind the Sentinels " + at
	case cluster:
		at = "the cluster of " + at
	}
	if t.db != 0 {
		at += ", database " + strconv.Itoa(t.db)
	}
	return at
}
