package load

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A token by an ES256 assertion costs what one by a secret does and little more than one verification, Redis included. The two
// are measured in turn, at the same rate, since a busier server sends larger batches to Redis. The assertions are signed
// beforehand. What a verification costs is taken from a profile of the server under that load: between two of them the
// processor has done other work, so that each costs more than one of many in a loop, which is measured for comparison.
func TestAssertions(t *testing.T) {
	wanted(t, "assertions")
	const most, rate = 1.2, 2_000 // verifications; requests a second
	s := newStand(t, storetest.Redis(t), "MINTKEEP_PPROF=true")
	key := servertest.NewSigner(t, "k1", "ES256")
	s.registerWithKey("both", key)
	var secrets, assertions, loops, verifications, extras, redis []float64
	for range rounds {
		loops = append(loops, verificationInALoop(t))
		bySecret, a := s.measure(func() *outcome { return open(t, s.addr(), 32, rate, *lasts, s.issue()) })
		bySecret.served(t)
		signed := s.byAssertion(key, int(rate*lasts.Seconds()))
		var share float64
		byKey, b := s.measure(func() *outcome {
			profiled := make(chan float64)
			go func() { profiled <- s.shareOf(t, "crypto/ecdsa.VerifyASN1") }()
			defer func() { share = <-profiled }()
			return open(t, s.addr(), 32, rate, *lasts, signed)
		})
		byKey.served(t)
		verification := share * b.server
		secrets, assertions = append(secrets, a.total()), append(assertions, b.total())
		redis = append(redis, b.redis-a.redis)
		verifications, extras = append(verifications, verification), append(extras, (b.total()-a.total())/verification)
	}
	extra := median(extras)
	report := newTable("by secret ms|by assertion ms|more of Redis ms|a verification ms|one in a loop ms|the assertion, in verifications")
	report.add("%.3f|%.3f|%.3f|%.3f|%.3f|%.2f", median(secrets), median(assertions), median(redis), median(verifications), median(loops), extra)
	report.print()
	if extra > most {
		t.Errorf("an assertion costs %.2f verifications, want at most %v", extra, most)
	}
}

// registerWithKey registers a client that has this key.
func (s *stand) registerWithKey(id string, key servertest.Signer) {
	s.tb.Helper()
	body, err := json.Marshal(servertest.M{"client_id": id, "scope": "read", "jwks": servertest.JWKS(s.tb, key)})
	if err != nil {
		s.tb.Fatal(err)
	}
	if a := s.server.Admin(http.MethodPost, "/admin/clients", string(body)); a.Status != http.StatusCreated {
		s.tb.Fatalf("register: %d %s", a.Status, a.Body)
	}
}

// byAssertion asks for n tokens as the client both, each by an assertion of its own.
func (s *stand) byAssertion(key servertest.Signer, n int) job {
	s.tb.Helper()
	var issuer struct{ Issuer string }
	if a := s.server.Get("/.well-known/oauth-authorization-server"); json.Unmarshal([]byte(a.Body), &issuer) != nil {
		s.tb.Fatalf("metadata: %d %s", a.Status, a.Body)
	}
	now, all := time.Now().Unix(), make([]exchange, n)
	for i := range all {
		form := url.Values{
			"grant_type": {"client_credentials"}, "scope": {"read"}, "client_assertion_type": {servertest.AssertionType},
			"client_assertion": {key.Sign(s.tb, nil, servertest.M{
				"iss": "both", "sub": "both", "aud": issuer.Issuer, "iat": now, "exp": now + 300, "jti": fmt.Sprintf("%d-%s", i, rand.Text()),
			})},
		}
		all[i] = exchange{post("/oauth/token", "", form.Encode()), func(a answer) error { _, err := issued(a); return err }}
	}
	return func(i uint64) exchange { return all[i%uint64(n)] }
}

// shareOf is the part of the server's processor time that a function takes, with all that it calls, while a load lasts.
func (s *stand) shareOf(t *testing.T, function string) float64 {
	file := filepath.Join(t.TempDir(), "cpu")
	if err := save(file, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.server.Metrics(), max(1, int(lasts.Seconds())-1))); err != nil {
		t.Error(err)
		return 0
	}
	top, err := exec.Command("go", "tool", "pprof", "-top", "-cum", "-nodecount=10000", "-nodefraction=0", file).Output()
	if err != nil {
		t.Error(err)
		return 0
	}
	for line := range strings.Lines(string(top)) { // flat, flat %, sum %, cum, cum %, function
		if fields := strings.Fields(line); len(fields) >= 6 && fields[5] == function {
			if percent, err := strconv.ParseFloat(strings.TrimSuffix(fields[4], "%"), 64); err == nil {
				return percent / 100
			}
		}
	}
	t.Errorf("the profile lacks %s", function)
	return 0
}

// verificationInALoop is the processor time of one ES256 verification of many, in milliseconds, while every processor is as busy
// as it is under the load: two that share a core are slower together.
func verificationInALoop(t *testing.T) float64 {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("an assertion"))
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	before, err := processtest.UsageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const each = 10_000
	var working sync.WaitGroup
	for range runtime.NumCPU() {
		working.Go(func() {
			for range each {
				if !ecdsa.Verify(&private.PublicKey, digest[:], r, s) {
					t.Error("the signature does not verify")
					return
				}
			}
		})
	}
	working.Wait()
	after, err := processtest.UsageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return (after.CPU - before.CPU).Seconds() * 1000 / float64(each*runtime.NumCPU())
}
