package redisdb

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// tickEvery is how often the embedded Redis looks for what has expired, at most. A lifetime (PX) counts from the tick
// before the write, so that the record may expire this much too early; a point in time (PXAT) never expires early, but
// up to this much too late.
const tickEvery = 250 * time.Millisecond

// embeddedTimeout is the time for one answer. Nothing is on its way here that could be lost: an answer is late only if the
// processor is busy.
const embeddedTimeout = 5 * time.Second

// memory is the embedded Redis: miniredis, which speaks the protocol of Redis in this process. It has no listener, so
// that no other process on the machine can read it.
//
// miniredis has two properties that a server must deal with:
//
//   - Its keys do not age. With ClockTTL they do, whenever its clock is ahead of the last time that it
//     looked; and since looking means sorting every key and visiting every hash field that expires,
//     doing so at each command would be ruinous. So its clock stands still, but for the ticks here.
//   - It remembers a number for every key name that it ever had, to serve WATCH. So what comes and goes, as tokens do,
//     must be fields of hashes whose names are few.
type memory struct {
	redis *miniredis.Miniredis
	now   func() time.Time

	done context.CancelFunc // stops the ticker
	wg   sync.WaitGroup

	mu     sync.Mutex // held while a connection begins, which none may once the server has stopped
	server *server.Server
}

func startMemory(now func() time.Time) *memory {
	ctx, cancel := context.WithCancel(context.Background())
	m := &memory{redis: miniredis.NewMiniRedis(), now: now, done: cancel}
	m.redis.SetTime(now())
	m.redis.ClockTTL(true)
	m.start()
	m.wg.Go(func() { m.tick(ctx) })
	return m
}

// start brings the server up without a listener. Dialling once is how miniredis does that; the
// connection itself, an unbuffered net.Pipe, is not used.
func (m *memory) start() {
	conn, err := m.redis.Dial()
	if err != nil {
		// Dial fails only if a command was registered twice, which would be a bug of miniredis.
		panic("redisdb: embedded Redis: " + err.Error())
	}
	_ = conn.Close()
	m.server = m.redis.Server()
}

// client makes a client of the embedded server. It has the same settings as one of a real Redis: what
// is tried on a laptop should behave as it will in production.
func (m *memory) client() *redis.Client {
	o := clientOptions().Simple()
	o.Addr = "embedded"
	o.Dialer = m.dial
	o.ReadTimeout, o.WriteTimeout = embeddedTimeout, embeddedTimeout
	return redis.NewClient(o)
}

func (m *memory) dial(context.Context, string, string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.server == nil {
		return nil, net.ErrClosed
	}
	ours, theirs := pipe()
	m.server.ServeConn(theirs)
	return ours, nil
}

// tick lets the server's clock follow ours. The cost of a tick grows with the number of keys and fields that expire,
// and all commands wait meanwhile. So the more there are, the rarer it gets: at most a twentieth of the time goes into
// ageing.
func (m *memory) tick(ctx context.Context) {
	timer := time.NewTimer(tickEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(max(tickEvery, 20*m.age()))
		}
	}
}

// age moves the server's clock to now and drops what has expired. It returns what that took.
func (m *memory) age() time.Duration {
	start := time.Now()
	m.redis.SetTime(m.now())
	m.redis.DB(0) // SetTime alone leaves the work to the next command
	return time.Since(start)
}

// stop stops every goroutine of the embedded Redis. Its clients have been closed.
func (m *memory) stop() {
	m.done()
	m.wg.Wait()

	m.mu.Lock()
	m.server = nil
	m.mu.Unlock()
	m.redis.Close()
}
