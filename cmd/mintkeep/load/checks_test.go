package load

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// usesOfAToken is how often a caller uses each token.
const usesOfAToken = 100

// What it costs a service to check its callers, with Mintkeep and Redis: with the guard at most a twentieth of what it costs to
// introspect at each call. Both are above the same service that checks nothing. Each has a Mintkeep of its own, since one that
// guards poll has more to do.
func TestChecks(t *testing.T) {
	wanted(t, "checks")
	const rate, bar = 1_000, 20.0
	program := filepath.Join(t.TempDir(), "resource")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./testdata/resource")
	build.Dir = "../../../server/guard/e2e" // a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ways := []string{"nothing", "introspection", "guard"}
	services := map[string]*resource{}
	for _, way := range ways {
		services[way] = newResource(t, program, way)
	}
	cost := map[string][]float64{}
	report := newTable("check|service µs|Mintkeep µs|Redis µs|together µs, of a processor, a request")
	defer report.print()
	for range rounds {
		for _, way := range ways {
			s := services[way]
			n := int(rate * lasts.Seconds())
			calls := s.calls(n)
			before := s.usage()
			open(t, s.addr, 32, rate, *lasts, calls).served(t)
			each := s.usage().since(before, n)
			report.add("%s|%.1f|%.1f|%.1f|%.1f", way, each[0], each[1], each[2], each[0]+each[1]+each[2])
			cost[way] = append(cost[way], each[0]+each[1]+each[2])
		}
	}
	nothing := median(cost["nothing"])
	asked, guarded := median(cost["introspection"])-nothing, median(cost["guard"])-nothing
	report.add("introspection, above nothing||||%.1f", asked)
	report.add("guard, above nothing||||%.1f", guarded)
	report.add("the guard's part of that||||1/%.0f", asked/guarded)
	if guarded > asked/bar {
		t.Errorf("the guard costs %.1f µs a request, introspection %.1f: want at most 1/%.0f", guarded, asked, bar)
	}
}

// resource is a service that checks its callers in one way, and a Mintkeep.
type resource struct {
	*stand
	addr string
	pid  int
}

func newResource(t *testing.T, program, way string) *resource {
	t.Helper()
	s := newStand(t, storetest.Redis(t))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &resource{stand: s, addr: listener.Addr().String()}
	_ = listener.Close()
	claims := s.claims(s.tokens(1)[0])
	id, secret, ok := basic(s.client)
	if !ok {
		t.Fatalf("the client has no secret: %s", s.client)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "CHECK="+way, "ADDR="+r.addr, "MINTKEEP_AT="+s.addr(), "ISSUER="+claims.Issuer,
		"AUDIENCE="+claims.Audience, "CLIENT_ID="+id, "CLIENT_SECRET="+secret)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	r.pid = cmd.Process.Pid
	ready := func() bool {
		w, err := dial(r.addr)
		if err == nil {
			w.close()
		}
		return err == nil
	}
	processtest.Eventually(t, time.Minute, ready, func() string { return "the service does not listen" })
	return r
}

// basic is what an Authorization header of the client has.
func basic(header string) (id, secret string, ok bool) {
	text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(header, "Basic "))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}

type tokenClaims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
}

// claims are those of a JWT.
func (s *stand) claims(token string) (c tokenClaims) {
	s.tb.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &c)
	}
	if err != nil {
		s.tb.Fatal(err)
	}
	return c
}

// calls are n calls of the service. Each token is used a hundred times.
func (r *resource) calls(n int) job {
	r.tb.Helper()
	var all []exchange
	for _, token := range r.tokens((n + usesOfAToken - 1) / usesOfAToken) {
		all = append(all, exchange{get("/orders", "Bearer "+token), func(a answer) error {
			if a.status != 200 || string(a.body) != "orders\n" {
				return fmt.Errorf("the service answers %s", a)
			}
			return nil
		}})
	}
	return func(i uint64) exchange { return all[i%uint64(len(all))] }
}

// usage is the processor time of the service, of Mintkeep and of Redis.
func (r *resource) usage() (u usages) {
	r.tb.Helper()
	for i, pid := range []int{r.pid, r.server.PID(), r.stand.pid} {
		of, err := processtest.UsageOf(pid)
		if err != nil {
			r.tb.Fatal(err)
		}
		u[i] = of.CPU
	}
	return u
}

type usages [3]time.Duration

// since is what was used of each since then, in microseconds a request.
func (u usages) since(before usages, requests int) (each [3]float64) {
	for i := range u {
		each[i] = float64((u[i] - before[i]).Microseconds()) / float64(requests)
	}
	return each
}
