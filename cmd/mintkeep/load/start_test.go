package load

import (
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// The first token comes soon after the process starts, on a Redis with data, and a server that does nothing takes
// little memory: of the binary as it is shipped.
func TestStart(t *testing.T) {
	wanted(t, "start")
	const firstToken, idle = 150 * time.Millisecond, 40 << 20 // most of it are pages of the binary, which the kernel may drop
	s := newStand(t, storetest.Redis(t))
	newFiller(t, s.redis).grow(size{1_000, 10_000, 1_000})
	program := processtest.Shipped(t)
	request := s.issue()(0).request
	var took []time.Duration
	var memory []float64
	for range rounds {
		began := time.Now()
		server := processtest.LaunchQuiet(t, program, processtest.OnRedis(s.redis.URL())...)
		took = append(took, firstAnswer(t, (&stand{server: server}).addr(), request, began))
		time.Sleep(2 * time.Second) // until it is idle
		memory = append(memory, float64(server.Usage(t).Resident))
		server.Kill()
	}
	first, resident := percentile(took, 50), int64(median(memory))
	report := newTable("first token ms|idle MiB")
	report.add("%s|%s", ms(first), mib(resident))
	report.print()
	if first > firstToken || resident > idle {
		t.Errorf("the first token after %v, want %v; idle memory %s MiB, want %s", first, firstToken, mib(resident), mib(idle))
	}
}

// firstAnswer asks until there is a token.
func firstAnswer(t *testing.T, addr string, request []byte, began time.Time) time.Duration {
	t.Helper()
	for time.Since(began) < patience {
		if w, err := dial(addr); err == nil {
			a, err := w.ask(request)
			w.close()
			if _, not := issued(a); err == nil && not == nil {
				return time.Since(began)
			}
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no token")
	return 0
}
