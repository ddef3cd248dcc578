package faults

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// scene is what a fault is injected into: a Redis, two servers on it, a front, the load.
type scene struct {
	*load
	t *testing.T

	redis   *storetest.Server    // alone, and
	line    *storetest.Proxy     // the line to it, if the servers use one
	watched *storetest.Watched   // with a replica and Sentinels
	nodes   *storetest.Nodes     // a cluster
	late    *storetest.LateProxy // between the first server and its Redis
	writes  []*lateWrite

	url           string // of the Redis
	environ       []string
	servers       [2]*processtest.Server
	front         *front
	began, lifted time.Duration // the fault
	later         []func()      // what lift has to do
}

// stage starts the Redis of a scene and returns MINTKEEP_REDIS_URL.
type stage func(s *scene) string

// alone is one Redis, without anything between it and the servers.
func alone(args ...string) stage {
	return func(s *scene) string {
		s.redis = storetest.Redis(s.t, args...)
		return s.redis.URL()
	}
}

// byLine is one Redis at the end of a line.
func byLine(args ...string) stage {
	return func(s *scene) string {
		s.redis = storetest.Redis(s.t, args...)
		s.line = storetest.NewProxy(s.t, s.redis.Addr())
		return s.line.URL()
	}
}

func sentinels(args ...string) stage {
	return func(s *scene) string {
		s.watched = storetest.Sentinels(s.t, args...)
		return s.watched.URL()
	}
}

func sixNodes(args ...string) stage {
	return func(s *scene) string {
		s.nodes = storetest.SixNodes(s.t, args...)
		return s.nodes.URL()
	}
}

// durable has Redis keep every write that it has acknowledged.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

// set builds a scene, without load.
func set(t *testing.T, redis stage, environ ...string) *scene {
	log := history.NewLog()
	s := &scene{t: t, load: &load{log: log, ledger: &ledger{log: log}, pace: 4 * time.Millisecond}}
	s.url = redis(s)
	s.environ = append(processtest.OnRedis(s.url), "MINTKEEP_TRUSTED_PROXIES=127.0.0.1/32")
	s.environ = append(s.environ, environ...)
	s.front = newFront(t)
	for i := range s.servers {
		s.replace(i)
	}
	s.caller = newCaller(s.front.URL)
	s.registerAuditor()
	return s
}

// fence runs mintkeep fence: the servers accept the data that Redis has now.
func (s *scene) fence() {
	s.t.Helper()
	cmd := exec.Command(processtest.Program(s.t), "fence", "--empty", "--yes")
	cmd.Env = s.environ
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("mintkeep fence: %v\n%s", err, out)
	}
}

// startOver is for after a loss: a fence, and an auditor again.
func (s *scene) startOver() {
	s.t.Helper()
	s.fence()
	for _, server := range s.servers {
		server.AwaitReady(s.t)
	}
	s.caller.Admin(http.MethodDelete, "/admin/clients/auditor", "")
	s.registerAuditor()
}

// registerAuditor registers the client that introspects tokens, with the same secret each time.
func (s *scene) registerAuditor() {
	s.t.Helper()
	const id, secret = "auditor", "the-secret-of-the-auditor-which-never-changes"
	a := s.caller.Admin(http.MethodPost, "/admin/clients",
		fmt.Sprintf(`{"client_id":%q,"client_secret":%q,"scope":"mintkeep:introspect","grant_types":[]}`, id, secret))
	if a.Err != nil || a.Status != http.StatusCreated {
		s.t.Fatalf("register the auditor: %d %v %s", a.Status, a.Err, a.Body)
	}
	if s.auditor == "" { // the workers read it
		s.auditor = authorization(id, secret)
	}
}

// replace starts a server in its place, in which none is, or one that has gone.
func (s *scene) replace(place int) {
	s.t.Helper()
	environ := s.environ
	if s.late != nil && place == 0 {
		environ = append(slices.Clone(environ), "MINTKEEP_REDIS_URL="+s.late.URL(s.url)) // of two, the last counts
	}
	s.servers[place] = processtest.StartReady(s.t, environ...)
	s.front.lead(place, s.servers[place])
}

// holdings are what the servers hold together: goroutines, and files without the connections to Redis, of which there
// are at most as many as the pool has.
type holdings struct{ goroutines, files int }

func (s *scene) holdings() (h holdings) {
	for _, server := range s.servers {
		h.goroutines += server.Goroutines(s.t)
		h.files += server.Usage(s.t).Files - int(server.Metric(s.t, "mintkeep_redis_pool_connections"))
	}
	return h
}

// checkAll checks every credential of the run once more, at every server.
func (s *scene) checkAll() {
	most, atOnce := 600, 8
	if chosen == long {
		most = 3000
	}
	known := s.known
	if len(known) > most {
		s.dropSome(most)
		known = s.known
	}
	turns := make(chan int)
	for i := range atOnce {
		s.workers.Go(func() {
			for n := range turns {
				for place, server := range s.servers {
					s.check(newCallerLike(s.caller, server.URL), 100+i, known[n], fmt.Sprintf("at the end, server %d, ", place))
				}
			}
		})
	}
	for n := range known {
		turns <- n
	}
	close(turns)
	s.workers.Wait()
}

// dropSome drops credentials evenly, until there are only so many.
func (s *scene) dropSome(most int) {
	kept := make([]credential, 0, most)
	for i := range most {
		kept = append(kept, s.known[i*len(s.known)/most])
	}
	s.known = kept
}

func newCallerLike(c processtest.Caller, url string) processtest.Caller {
	c.URL = url
	return c
}
