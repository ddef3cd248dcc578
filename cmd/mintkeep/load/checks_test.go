package load

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const (
	usesOfAToken = 100 // how often a caller uses each token
	checkTurns   = 5   // how often the ways to check take turns in a round: the speed of a machine changes
)

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
	n := int(rate * lasts.Seconds() / checkTurns)
	if n < usesOfAToken {
		t.Fatalf("-for=%v is too short: each turn of %d has to use a token %d times", *lasts, checkTurns, usesOfAToken)
	}
	services, calls := map[string]*resource{}, map[string][]exchange{}
	for _, way := range ways {
		services[way] = newResource(t, program, way)
		calls[way] = services[way].calls(n / usesOfAToken * rounds * checkTurns)
	}
	cost, above := map[string][]usages{}, map[string][]float64{}
	for turn := range rounds * checkTurns {
		used := map[string]usages{}
		for _, way := range ways {
			s := services[way]
			before := s.usage()
			open(t, s.addr, 32, rate, *lasts/checkTurns, inTurn(calls[way][turn*n/usesOfAToken:][:n/usesOfAToken])).served(t)
			used[way] = s.usage().since(before, n)
			cost[way] = append(cost[way], used[way])
		}
		for _, way := range ways {
			above[way] = append(above[way], used[way].together()-used["nothing"].together())
		}
	}
	report := newTable("check|service µs|Mintkeep µs|Redis µs|together µs, of a processor, a request|above nothing")
	defer report.print()
	for _, way := range ways {
		m := medians(cost[way])
		report.add("%s|%.1f|%.1f|%.1f|%.1f|%.1f", way, m[0], m[1], m[2], m.together(), median(above[way]))
	}
	asked, guarded := median(above["introspection"]), median(above["guard"])
	report.add("the guard's part of that|||||1/%.1f", asked/guarded)
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
	r := &resource{stand: s, addr: storetest.FreeAddr(t)}
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

// calls are calls of the service, each with another token.
func (r *resource) calls(n int) (all []exchange) {
	r.tb.Helper()
	for _, token := range r.tokens(n) {
		all = append(all, exchange{get("/orders", "Bearer "+token), func(a answer) error {
			if a.status != 200 || string(a.body) != "orders\n" {
				return fmt.Errorf("the service answers %s", a)
			}
			return nil
		}})
	}
	return all
}

// inTurn makes each exchange in turn.
func inTurn(all []exchange) job { return func(n uint64) exchange { return all[n%uint64(len(all))] } }

// usage is the processor time of the service, of Mintkeep and of Redis.
func (r *resource) usage() (u usages) {
	r.tb.Helper()
	for i, pid := range []int{r.pid, r.server.PID(), r.stand.pid} {
		of, err := processtest.UsageOf(pid)
		if err != nil {
			r.tb.Fatal(err)
		}
		u[i] = float64(of.CPU.Nanoseconds()) / 1000
	}
	return u
}

// usages are times of a processor in microseconds.
type usages [3]float64

func (u usages) together() float64 { return u[0] + u[1] + u[2] }

// since is what was used of each since then, a request.
func (u usages) since(before usages, requests int) (each usages) {
	for i := range u {
		each[i] = (u[i] - before[i]) / float64(requests)
	}
	return each
}

func medians(all []usages) (m usages) {
	for i := range m {
		var of []float64
		for _, u := range all {
			of = append(of, u[i])
		}
		m[i] = median(of)
	}
	return m
}
