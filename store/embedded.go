package store

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// tickEvery is how often the embedded store looks for what has expired, at most. It reckons a lifetime
// (PX) from the tick before the write, so that the record may go this much too early; with a point in
// time (PXAT) it never does, but stays up to this much too long.
const tickEvery = 250 * time.Millisecond

// memory is the embedded store's backend: miniredis, which speaks the protocol of Redis in this
// process. It has no listener, so nobody else on the machine can read it.
//
// miniredis has two ways that a server must live with:
//
//   - Its keys do not age. With ClockTTL they do, whenever its clock is ahead of the last time that it
//     looked; and since looking means sorting every key and visiting every hash field that expires,
//     doing so at each command would be ruinous. So its clock stands still, but for the ticks here.
//   - It remembers a number for every key name that there ever was, to serve WATCH. So what comes and
//     goes, as tokens do, must be fields of hashes whose names are few.
type memory struct {
	redis *miniredis.Miniredis
	now   func() time.Time

	done context.CancelFunc // ends the ticker
	wg   sync.WaitGroup

	mu     sync.Mutex // held while a connection begins, which none may once the server has ended
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

// start brings the server up without a listener. Dialling once is miniredis's way to say so; the
// connection itself, an unbuffered net.Pipe, is not used.
func (m *memory) start() {
	conn, err := m.redis.Dial()
	if err != nil {
		// Dial fails only if a command was registered twice, which would be a bug of miniredis.
		panic("store: embedded Redis: " + err.Error())
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

// tick lets the server's clock follow ours. A tick costs with the number of keys and fields that
// expire, and everybody waits meanwhile, so the more there are the rarer it gets: at most a
// twentieth of the time goes into ageing.
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

// stop ends every goroutine of the embedded store. Its clients have been closed.
func (m *memory) stop() {
	m.done()
	m.wg.Wait()

	m.mu.Lock()
	m.server = nil
	m.mu.Unlock()
	m.redis.Close()
}
