package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Diagnosis is what Redis says of itself to whoever looks after it, and how it is to be reached.
type Diagnosis struct {
	Where string // host:port, or several; never a password
	User  string // of the ACL: "default" unless the URL names one

	// Latency is what some round trips took, one after the other. Trouble is what they met: an error for an answer,
	// or in a cluster a master that does not answer while others do.
	Latency []time.Duration
	Trouble error

	Nodes        []Node              // the server, or each master of the cluster; sorted by address
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
	// nodePatience bounds what is asked of one server, so that one that hangs does not use up the time for
	// the others; they are asked at once.
	nodePatience = 2 * time.Second
)

// Diagnose looks at Redis, and changes nothing that lasts. The error, which matches ErrUnavailable, says that
// there is nobody to ask: the rest is not known then, but for Where, User and Certificates. It takes some seconds at most,
// and not longer than ctx. It is not for the embedded store.
func (s *Store) Diagnose(ctx context.Context) (*Diagnosis, error) {
	d := &Diagnosis{Where: s.target.where(), User: s.target.user}
	if d.User == "" {
		d.User = "default"
	}
	var aside sync.WaitGroup
	aside.Go(func() { d.Certificates = s.certificates(ctx) })
	aside.Go(func() { d.Sentinels = s.askSentinels(ctx) })
	defer aside.Wait()

	err := s.timeRoundTrips(ctx, d)
	if d.Trouble == nil {
		d.Trouble = unavailable("ping", err)
	}
	if err != nil && s.target.kind != cluster {
		return d, d.Trouble
	}
	if s.target.kind == cluster {
		d.Cluster, d.ClusterErr = s.clusterInfo(ctx)
	}
	if d.Nodes, err = s.askNodes(ctx); err != nil {
		return d, unavailable("find the masters", err)
	}
	if !slices.ContainsFunc(d.Nodes, Node.Answers) {
		return d, cmp.Or(d.Trouble, unavailable("find the masters", errors.New("there are none")))
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

// Refusal is the word with which Redis begins to say no: "NOPERM", "LOADING", "ERR". It is empty if err is not
// an answer of Redis.
func Refusal(err error) string {
	var answer redis.Error
	if !errors.As(err, &answer) || errors.Is(err, redis.Nil) {
		return ""
	}
	word, _, _ := strings.Cut(answer.Error(), " ")
	return word
}

// timeRoundTrips asks after the key that Ping asks after. The first round trip makes the connection, and does
// not count.
func (s *Store) timeRoundTrips(ctx context.Context, d *Diagnosis) error {
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	for i := range roundTrips + 1 {
		start := time.Now()
		err := s.rdb.Exists(ctx, "mk:ping").Err()
		took := time.Since(start)
		if err != nil && Refusal(err) == "" {
			if i > 1 && ctx.Err() != nil { // it is slow, which is what was asked
				return nil
			}
			return err
		}
		if err != nil {
			d.Trouble = unavailable("ping", err)
		}
		if i > 0 {
			d.Latency = append(d.Latency, took)
		}
	}
	return nil
}

func (s *Store) clusterInfo(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	text, err := s.rdb.ClusterInfo(ctx).Result()
	if err != nil {
		return nil, unavailable("cluster info", err)
	}
	return infoFields(text), nil
}

// askNodes asks every master, all at once.
func (s *Store) askNodes(ctx context.Context) ([]Node, error) {
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	c, ok := s.rdb.(*redis.ClusterClient)
	if !ok {
		return []Node{s.askNode(ctx, s.rdb, s.target.where())}, nil
	}
	var mu sync.Mutex
	var nodes []Node
	err := c.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		n := s.askNode(ctx, master, master.Options().Addr)
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, n)
		return nil
	})
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Addr, b.Addr) })
	return nodes, err
}

func (s *Store) askNode(ctx context.Context, c redis.Cmdable, addr string) Node {
	n := Node{Addr: addr}
	text, err := c.Info(ctx).Result()
	if n.Err = unavailable("info", err); err == nil {
		n.Info = infoFields(text)
	} else if Refusal(err) == "" {
		n.ClockErr = n.Err
		return n // it would not answer the rest either
	}
	n.Config = askSettings(ctx, c)
	n.Ahead, n.ClockErr = s.clockOf(ctx, c)
	n.Denied, n.DeniedErr = denied(ctx, c, s.target.kind == cluster)
	return n
}

// Answers is whether the server is there, whatever it said.
func (n Node) Answers() bool { return n.Err == nil || Refusal(n.Err) != "" }

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
func (s *Store) clockOf(ctx context.Context, c redis.Cmdable) (ahead time.Duration, err error) {
	quickest := time.Duration(-1)
	for range 3 {
		start, now := time.Now(), s.now()
		theirs, err := c.Time(ctx).Result()
		took := time.Since(start)
		if err != nil {
			return 0, unavailable("time", err)
		}
		if quickest < 0 || took < quickest {
			quickest, ahead = took, theirs.Sub(now.Add(took/2))
		}
	}
	return ahead, nil
}
