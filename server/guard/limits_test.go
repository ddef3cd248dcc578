package guard_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

var bars = flag.Bool("bars", false, "whether the tests of limits are as large as docs/performance.md says, and measure memory")

// scaled is a number as docs/performance.md has it, or a hundredth of it.
func scaled(n int) int {
	if *bars {
		return n
	}
	return n / 100
}

// crowd is a Mintkeep that remembers nothing of the credentials that it is asked about, so that it takes no memory beside the
// guard's. It knows every credential with a right checksum whose number is even, of a thousand clients.
type crowd struct {
	mu      sync.Mutex
	asked   int
	revoked map[string]bool
	feed    []string
	changed chan struct{}
}

func newCrowd() *crowd { return &crowd{revoked: map[string]bool{}, changed: make(chan struct{})} }

// numbered is a credential: it is active if the number is even.
func numbered(n int) string {
	return guard.Checksummed(fmt.Sprintf("mkt_%040d", n))
}

// revoke revokes credentials, and tells the guard.
func (c *crowd) revoke(credentials ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range credentials {
		c.revoked[text] = true
		c.feed = append(c.feed, guard.HandleOf(text))
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *crowd) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	var answer any
	switch r.URL.Path {
	case "/oauth/introspect":
		answer = c.introspect(string(body))
	case "/oauth/changes":
		answer = c.changes(r.Context(), body)
	default:
		answer = map[string]any{"active": []string{}}
	}
	text, err := json.Marshal(answer)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(text))), Request: r}, err
}

func (c *crowd) introspect(form string) any {
	values, _ := url.ParseQuery(form)
	text := values.Get("token")
	var n int
	_, _ = fmt.Sscanf(strings.TrimPrefix(text, "mkt_")[:40], "%d", &n)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if n%2 == 1 || c.revoked[text] {
		return map[string]any{"active": false}
	}
	sum := fnv.New32()
	_, _ = sum.Write([]byte(text))
	client, now := fmt.Sprintf("client-%d", sum.Sum32()%1000), time.Now()
	return map[string]any{
		"active": true, "scope": "read write", "client_id": client, "sub": client, "token_type": "bearer", "aud": orders, "jti": text[4:30],
		"iat": now.Unix(), "exp": now.Unix() + 3600, "left": 3_600_000, "state": "p7Xw2c1Ajk0", "ties": []string{guard.HandleOf(text), guard.HandleOf(client)},
	}
}

func (c *crowd) changes(ctx context.Context, body []byte) any {
	arrived := time.Now()
	var q struct {
		Nonce, After string
		Wait         int64
	}
	_ = json.Unmarshal(body, &q)
	from, end := 0, time.After(time.Duration(q.Wait)*time.Millisecond)
	_, _ = fmt.Sscan(q.After, &from)
	for over := false; ; {
		c.mu.Lock()
		void, changed := append([]string{}, c.feed[from:]...), c.changed
		c.mu.Unlock()
		if q.After == "" || len(void) > 0 || over {
			return map[string]any{
				"nonce": q.Nonce, "cursor": fmt.Sprint(from + len(void)), "reset": q.After == "", "void": void, "fresh": time.Since(arrived).Milliseconds(),
			}
		}
		select {
		case <-changed:
		case <-end:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
}

func (c *crowd) questions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// guarded is a current guard of a crowd, with a lease that no slow machine outlasts.
func guarded(t *testing.T, c *crowd, entries int) *guard.Guard {
	t.Helper()
	g, err := guard.New(guard.Config{
		Issuer: "http://localhost", ClientID: "guard", ClientSecret: "secret", Audiences: []string{orders}, MaxEntries: entries, MaxStale: 10 * time.Second,
		WhenStale: guard.Grace(time.Hour), HTTPClient: &http.Client{Transport: c}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	settle(t, g)
	return g
}

func settle(t *testing.T, g *guard.Guard) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if at, _ := g.KnownAt(); g.Stats().State != guard.Blind && at.After(began) {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatal("the guard is not current")
		}
	}
}

func status(g *guard.Guard, credential string) int {
	_, err := g.Check(context.Background(), guard.Presented{Authorization: []string{"Bearer " + credential}}, guard.Scope("read"))
	if err == nil {
		return http.StatusOK
	}
	return err.(*guard.Refusal).Status
}

// heap is what is in use, in bytes.
func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// less reports a measurement, and that it is above a bar.
func less(t *testing.T, what string, got, most int64) {
	t.Helper()
	t.Logf("%s: %.2f MiB, at most %.2f", what, float64(got)/(1<<20), float64(most)/(1<<20))
	if *bars && got > most {
		t.Errorf("%s takes %d bytes, more than %d", what, got, most)
	}
}

// Twice as many credentials as a guard may remember: it remembers no more, keeps those that are used, and has no wrong answer.
// What was revoked is rejected, whether it is remembered or not.
func TestMoreCredentialsThanEntries(t *testing.T) {
	entries := scaled(100_000)
	c := newCrowd()
	before := heap()
	g := guarded(t, c, entries)
	const hot = 100
	check := func(n, want int) {
		t.Helper()
		if got := status(g, numbered(n)); got != want {
			t.Fatalf("credential %d: %d, want %d", n, got, want)
		}
	}
	for i := range entries {
		check(2*i, http.StatusOK)
	}
	less(t, fmt.Sprintf("%d verdicts", entries), heap()-before, 40<<20)
	for i := entries; i < 2*entries; i++ {
		check(2*i, http.StatusOK)
		if i%10 == 0 {
			check(2*(entries+i/10%hot), http.StatusOK)
		}
	}
	less(t, fmt.Sprintf("after %d credentials", 2*entries), heap()-before, 40<<20)
	if n := g.Stats().Entries; n > entries+entries/10 || n < entries/2 {
		t.Errorf("%d are remembered", n)
	}
	asked := c.questions()
	for i := range hot {
		check(2*(entries+i), http.StatusOK)
	}
	if n := c.questions() - asked; n > hot/20 {
		t.Errorf("%d of %d that are used often were forgotten", n, hot)
	}
	var revoked []string
	for i := 0; i < 2*entries; i += entries / 50 {
		revoked = append(revoked, numbered(2*i))
	}
	c.revoke(revoked...)
	settle(t, g)
	for _, text := range revoked {
		if got := status(g, text); got != http.StatusUnauthorized {
			t.Errorf("a revoked credential is %d", got)
		}
	}
}

// Junk leaves nothing behind, and pushes nothing out: neither what has no right checksum, nor what Mintkeep does not know.
func TestJunkLeavesNothing(t *testing.T) {
	c := newCrowd()
	g := guarded(t, c, 1_000)
	known := numbered(0)
	if got := status(g, known); got != http.StatusOK {
		t.Fatal(got)
	}
	before := heap()
	junk := []byte("mk_" + strings.Repeat("0", 46))
	for i := range scaled(10_000_000) {
		copy(junk[3:], fmt.Sprintf("%d", i))
		if got := status(g, string(junk)); got != http.StatusUnauthorized {
			t.Fatalf("junk is %d", got)
		}
	}
	for i := range scaled(100_000) {
		if got := status(g, numbered(2*i+1)); got != http.StatusUnauthorized {
			t.Fatalf("an unknown credential is %d", got)
		}
	}
	less(t, "after junk", heap()-before, 1<<20)
	asked := c.questions()
	if got := status(g, known); got != http.StatusOK || c.questions() != asked {
		t.Errorf("the known one is %d, and asked about %d times", got, c.questions()-asked)
	}
}

// After a thousand guards that were made, used and closed there are as many goroutines and descriptors as before, and as much
// memory.
func TestClosedGuardsLeaveNothing(t *testing.T) {
	m := guardtest.NewServer(t)
	token := m.Token("billing", orders, "read")
	round := func() {
		g, err := guard.New(guard.Config{
			Issuer: m.URL, ClientID: guardtest.ClientID, ClientSecret: guardtest.ClientSecret, Audiences: []string{orders}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := status(g, token); got != http.StatusOK {
			t.Fatal(got)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		round()
	}
	goroutines, descriptors, memory := runtime.NumGoroutine(), descriptorCount(t), heap()
	for range scaled(1_000) {
		round()
	}
	for began := time.Now(); runtime.NumGoroutine() > goroutines+2 || descriptorCount(t) > descriptors+2; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d goroutines, before %d; %d descriptors, before %d", runtime.NumGoroutine(), goroutines, descriptorCount(t), descriptors)
		}
	}
	less(t, "closed guards", heap()-memory, 1<<20)
}

func descriptorCount(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("the system has no /proc")
	}
	return len(entries)
}
