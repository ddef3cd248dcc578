package doctor_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/doctor"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// master makes a master key.
func master() string {
	key := make([]byte, seal.KeyBytes)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

// patient is what is examined: settings, and what surrounds them.
type patient struct {
	url, masterKey string
	environ        []string // goes before the rest
	ahead          time.Duration
}

func (p patient) options(t *testing.T) doctor.Options {
	t.Helper()
	if p.masterKey == "" {
		p.masterKey = master()
	}
	cfg, warnings, err := config.Load(config.Source{Environ: append(p.environ,
		"MINTKEEP_REDIS_URL="+p.url, "MINTKEEP_ISSUER=https://auth.example.com", "MINTKEEP_MASTER_KEY="+p.masterKey)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{URL: p.url, Durability: cfg.RevokeDurability, Feed: cfg.Feed, Now: func() time.Time { return time.Now().Add(p.ahead) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return doctor.Options{Config: cfg, Warnings: warnings, Store: s}
}

func (p patient) examine(t *testing.T) []doctor.Check {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return doctor.Examine(ctx, p.options(t))
}

// wrong examines, compares the checks that are not ok, as "fail eviction", and requires a fix of each.
func (p patient) wrong(t *testing.T, want ...string) []doctor.Check {
	t.Helper()
	checks := p.examine(t)
	var got []string
	for _, c := range checks {
		if c.State == doctor.OK || slow(c) {
			continue
		}
		got = append(got, string(c.State)+" "+c.Name)
		if c.Found == "" || c.Fix == "" && c.State != doctor.Unknown {
			t.Errorf("%s says %q, and %q as the fix", c.Name, c.Found, c.Fix)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s\nof %v", diff, checks)
	}
	return checks
}

// slow is whether a check only says that Redis answers slowly, which here is the machine's fault. TestReach is about that.
func slow(c doctor.Check) bool {
	return c.State == doctor.Warn && strings.HasPrefix(c.Fix, "run Mintkeep nearer to its Redis")
}

func TestMisconfigured(t *testing.T) {
	srv := storetest.Redis(t, "--appendonly", "yes")
	p := patient{url: srv.URL()}
	p.wrong(t)

	for name, c := range map[string]struct {
		settings [][2]string
		want     []string
	}{
		"evicts":          {[][2]string{{"maxmemory-policy", "allkeys-lru"}}, []string{"fail eviction"}},
		"out of memory":   {[][2]string{{"maxmemory", "100kb"}}, []string{"fail memory"}},
		"no persistence":  {[][2]string{{"appendonly", "no"}}, []string{"warn persistence"}},
		"snapshots":       {[][2]string{{"appendonly", "no"}, {"save", "3600 1"}}, []string{"warn persistence"}},
		"never fsynced":   {[][2]string{{"appendfsync", "no"}}, []string{"warn persistence"}},
		"without replica": {[][2]string{{"min-replicas-to-write", "1"}}, []string{"fail replication"}},
		"with a password": {[][2]string{{"requirepass", "hunter2"}}, []string{"fail redis"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range c.settings {
				set(t, srv, s[0], s[1])
			}
			p.wrong(t, c.want...)
		})
	}
	t.Run("clocks", func(t *testing.T) {
		patient{url: srv.URL(), ahead: 2 * time.Minute}.wrong(t, "fail clock")
		patient{url: srv.URL(), ahead: -5 * time.Second}.wrong(t, "warn clock")
	})
	t.Run("no cluster", func(t *testing.T) {
		patient{url: "redis+cluster://" + srv.Addr()}.wrong(t, "fail redis")
	})
	t.Run("revocations", func(t *testing.T) {
		durable := func(setting string) patient {
			return patient{url: srv.URL(), environ: []string{"MINTKEEP_REVOKE_DURABILITY=" + setting}}
		}
		durable("fsync").wrong(t, "fail revocations")
		durable("replicas:1").wrong(t, "fail revocations")
		set(t, srv, "appendfsync", "always")
		durable("fsync").wrong(t)
	})
	t.Run("replicated", func(t *testing.T) {
		replica := storetest.Redis(t, "--appendonly", "yes", "--replicaof", strings.Replace(srv.Addr(), ":", " ", 1))
		patient{url: replica.URL()}.wrong(t, "fail replication")
	})
}

// set changes a parameter until this test is over; [storetest.Server.Config] does so until the server's is.
func set(t *testing.T, srv *storetest.Server, name, value string) {
	t.Helper()
	was, err := srv.Client().ConfigGet(t.Context(), name).Result()
	if err == nil {
		err = srv.Client().ConfigSet(t.Context(), name, value).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Client().ConfigSet(context.Background(), name, was[name]).Err(); err != nil {
			t.Fatal(err)
		}
	})
}

// A disk that takes no snapshot stops the writes.
func TestSnapshotFails(t *testing.T) {
	srv := storetest.Redis(t, "--save", "3600 1")
	dir, err := srv.Client().ConfigGet(t.Context(), "dir").Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir["dir"], "dump.rdb"), 0o700); err != nil { // is in the way
		t.Fatal(err)
	}
	_, _ = srv.Do("BGSAVE")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if info, _ := srv.Do("INFO", "persistence"); strings.Contains(fmt.Sprint(info), "rdb_last_bgsave_status:err") {
			break
		}
	}
	patient{url: srv.URL()}.wrong(t, "fail persistence")
}

func TestRedisDoesNotAnswer(t *testing.T) {
	srv := storetest.Redis(t)
	srv.Freeze()
	start := time.Now()
	patient{url: srv.URL()}.wrong(t, "fail redis")
	srv.Thaw()
	srv.Kill()
	patient{url: srv.URL()}.wrong(t, "fail redis")
	if took := time.Since(start); took > 40*time.Second { // some seconds, on a machine that has nothing else to do
		t.Errorf("it took %v", took)
	}
}

func TestClusterWithMissingSlots(t *testing.T) {
	t.Parallel()
	srv := storetest.Cluster(t, "--appendonly", "yes")
	patient{url: srv.URL()}.wrong(t, "warn replication") // no replica takes over
	patient{url: "redis://" + srv.Addr()}.wrong(t, "fail mode")
	if _, err := srv.Do("CLUSTER", "DELSLOTSRANGE", 0, 99); err != nil {
		t.Fatal(err)
	}
	checks := patient{url: srv.URL()}.examine(t)
	i := slices.IndexFunc(checks, func(c doctor.Check) bool { return c.Name == "cluster" })
	if i < 0 || checks[i].State != doctor.Fail || !strings.Contains(checks[i].Fix, "100 slots") {
		t.Errorf("no failure of the cluster, with 100 slots that are missing, in %v", checks)
	}
}

func TestSentinelsWithoutQuorum(t *testing.T) {
	t.Parallel()
	sentinel := storetest.Sentinel(t, storetest.Redis(t, "--appendonly", "yes"))
	p := patient{url: sentinel.URL()}
	o := p.options(t)
	for deadline := time.Now().Add(time.Minute); o.Store.Ping(t.Context()) != nil && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	p.wrong(t, "warn replication")
	if _, err := sentinel.Do("SENTINEL", "SET", "mintkeep", "quorum", "2"); err != nil {
		t.Fatal(err)
	}
	p.wrong(t, "warn replication", "warn sentinel")
	p.url = strings.Replace(p.url, "/mintkeep", "/elsewhere", 1)
	p.wrong(t, "fail redis", "warn sentinel")
	p.url = "redis://" + sentinel.Addr()
	if checks := p.examine(t); checks[len(checks)-1].Name != "mode" || !strings.Contains(checks[len(checks)-1].Fix, "redis+sentinel://") {
		t.Errorf("a Sentinel as a Redis: %v", checks)
	}
}

func TestMissingRights(t *testing.T) {
	srv := storetest.Redis(t, "--appendonly", "yes")
	p := patient{url: strings.Replace(srv.URL(), "://", "://mint:hunter2@", 1)}
	for rules, want := range map[string][]string{
		"+@all":              nil,
		"+@all -hgetall":     {"fail rights", "fail feed"},
		"+@all -exists":      {"fail redis", "fail rights"},
		"+@all -info":        {"unknown info", "warn rights"},
		"+@all -time":        {"unknown clock", "warn rights"},
		"+@all -config":      {"warn rights"},
		"+@all -wait":        {"warn rights"},
		"-@all +hello +ping": {"fail redis"},
	} {
		t.Run(rules, func(t *testing.T) {
			args := []any{"ACL", "SETUSER", "mint", "reset", "on", ">hunter2", "~mk:*"}
			for rule := range strings.FieldsSeq(rules) {
				args = append(args, rule)
			}
			if _, err := srv.Do(args...); err != nil {
				t.Fatal(err)
			}
			if report := fmt.Sprint(p.wrong(t, want...)); strings.Contains(report, "hunter2") {
				t.Errorf("the password is in %s", report)
			}
		})
	}
}

func TestEmbedded(t *testing.T) {
	checks := patient{}.wrong(t, "warn redis")
	if got := checks[len(checks)-1]; !strings.Contains(got.Fix, "MINTKEEP_REDIS_URL") {
		t.Errorf("got %v", got)
	}
}
