package store_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// examine diagnoses what must answer.
func examine(t *testing.T, s *store.Store) *redisdb.Diagnosis {
	t.Helper()
	d, err := s.Diagnose(t.Context())
	must(t, err)
	return d
}

func TestDiagnose(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			return // there is no server to ask
		}
		s := b.Open(t)
		d := examine(t, s)
		if d.Trouble != nil || len(d.Latency) != 10 || d.Where != b.Server.Addr() || d.User != "default" {
			t.Errorf("got %v, %d round trips, at %q, as %q", d.Trouble, len(d.Latency), d.Where, d.User)
		}
		if len(d.Nodes) != 1 {
			t.Fatalf("%d nodes, want 1", len(d.Nodes))
		}
		n := d.Nodes[0]
		_, port, _ := net.SplitHostPort(b.Server.Addr()) // a cluster of one does not know its host
		if !strings.HasSuffix(n.Addr, ":"+port) || n.Err != nil || n.ClockErr != nil || n.DeniedErr != nil {
			t.Errorf("node: %q, %v, %v, %v", n.Addr, n.Err, n.ClockErr, n.DeniedErr)
		}
		if n.Info["redis_version"] == "" || n.Info["role"] != "master" || n.Info["maxmemory_policy"] != "noeviction" {
			t.Errorf("INFO: %v", n.Info)
		}
		if save, there := n.Config["save"]; !there || save != "" || n.Config["appendfsync"] != "everysec" || n.Config["min-replicas-to-write"] != "0" {
			t.Errorf("CONFIG: %v", n.Config)
		}
		if len(n.Denied) != 0 {
			t.Errorf("denied: %v", n.Denied)
		}
		if got, want := d.Cluster["cluster_slots_ok"], map[string]string{"redis": "", "cluster": "16384"}[b.Name]; got != want {
			t.Errorf("slots of the cluster: %q, want %q", got, want)
		}
		if left := b.Dump(t); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestDiagnoseClock(t *testing.T) {
	b := storetest.Redis(t).Backend(t)
	for _, ahead := range []time.Duration{0, 2 * time.Minute, -time.Hour} {
		s := b.Open(t, func(o *store.Options) { o.Now = func() time.Time { return time.Now().Add(-ahead) } })
		if got := examine(t, s).Nodes[0].Ahead; (got - ahead).Abs() > time.Second/2 {
			t.Errorf("Redis is %v ahead, want %v", got, ahead)
		}
	}
}

// What Redis rejects is reported, and a node that does not answer delays no other.
func TestDiagnoseFailures(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	if _, err := srv.Do("ACL", "SETUSER", "mint", "on", ">hunter2", "~mk:*", "+@all", "-exists"); err != nil {
		t.Fatal(err)
	}
	open := func(userinfo string) *store.Store {
		s, err := store.Open(store.Options{URL: strings.Replace(srv.URL(), "://", "://"+userinfo, 1)})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	for userinfo, want := range map[string]string{"mint:hunter2@": "NOPERM", "mint:hunter3@": "WRONGPASS", "": ""} {
		d := examine(t, open(userinfo))
		if got := redisdb.ErrorPrefix(d.Trouble); got != want {
			t.Errorf("%s: got %q, want %q", userinfo, got, want)
		}
		if d.Trouble != nil && (!errors.Is(d.Trouble, store.ErrUnavailable) || strings.Contains(d.Trouble.Error(), "hunter")) {
			t.Errorf("%s: %v", userinfo, d.Trouble)
		}
	}
	s := open("")
	srv.Freeze()
	silent(t, s)
	srv.Thaw()
	srv.Kill()
	silent(t, s)
}

func TestDiagnoseBlackHole(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	for _, form := range []string{"redis://HOST", "rediss://HOST", "redis+cluster://HOST", "redis+sentinel://HOST/mymaster"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(store.Options{URL: strings.Replace(form, "HOST", ln.Addr().String(), 1)})
			must(t, err)
			defer s.Close()
			silent(t, s)
		})
	}
}

// silent diagnoses what does not answer.
func silent(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	if _, err := s.Diagnose(ctx); !errors.Is(err, store.ErrUnavailable) || redisdb.ErrorPrefix(err) != "" {
		t.Errorf("got %v, want no answer", err)
	}
	if took := time.Since(start); took > 20*time.Second { // some seconds, on a machine that has nothing else to do
		t.Errorf("it took %v", took)
	}
}

func TestDiagnoseSentinels(t *testing.T) {
	t.Parallel()
	primary := storetest.Redis(t)
	b := storetest.Sentinel(t, primary).Backend(t)
	s := b.Open(t)
	await(t, "ping", func() error { return s.Ping(t.Context()) })
	d := examine(t, s)
	if len(d.Sentinels) != 1 || d.Sentinels[0].Err != nil || !strings.HasPrefix(d.Sentinels[0].Says, "OK") {
		t.Errorf("Sentinels: %+v", d.Sentinels)
	}
	if len(d.Nodes) != 1 || d.Nodes[0].Info["role"] != "master" || d.Where != "mintkeep of "+b.Server.Addr() {
		t.Errorf("got %q, %v", d.Where, d.Nodes)
	}
}

// A certificate is examined even if it is not trusted.
func TestDiagnoseCertificate(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	addr := storetest.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	storetest.Redis(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert,
		"--tls-auth-clients", "no")
	for query, trusted := range map[string]bool{"?ca=" + cert: true, "": false} {
		s, err := store.Open(store.Options{URL: "rediss://" + addr + query})
		must(t, err)
		d, err := s.Diagnose(t.Context())
		if (err == nil) != trusted {
			t.Errorf("with %q: %v", query, err)
		}
		if len(d.Certificates) != 1 || d.Certificates[0].Err != nil || len(d.Certificates[0].Chain) != 1 || d.Certificates[0].Chain[0].DNSNames[0] != "redis.internal" {
			t.Errorf("with %q: certificates %+v", query, d.Certificates)
		}
		_ = s.Close()
	}
}
