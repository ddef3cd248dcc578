package feed

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Options for [New]. Key, BeatsKey and DB are required.
type Options struct {
	// Key is that of the stream. BeatsKey is in the same slot of a cluster: a hash, replica → its beat.
	Key, BeatsKey string
	DB            *redisdb.DB

	// Replica is the id of this replica, by which Watermarks has it too.
	Replica string
	// Watermarks reads the watermarks of all replicas, those of other versions too. Nil: there is only this one.
	Watermarks func(context.Context) (Watermarks, error)
	// Trusted is whether the breaker is closed. Nil: always.
	Trusted func() bool
	// OnConnect checks the feed's own connection before the first look on it. Nil: nothing is checked.
	OnConnect func(context.Context, *redis.Conn) error

	// Observe is told of each entry that was read, in the order of the feed; all: everything is void. It must not block.
	Observe func(handles []Handle, all bool)

	Logger *slog.Logger // nil: slog.Default
}

// Watermarks are those of all replicas that use a Redis.
type Watermarks struct {
	Counter int64
	Of      map[string]int64 // replica → the counter that it saw last
}

// Feed is the feed as one replica appends to it and reads it. It is safe for concurrent use.
type Feed struct {
	Options
	limit  int    // how many entries a look reads at most
	own    sender // by a connection of its own
	redial func() // closes that connection
	pool   sender
	close  func() error
	beats  beats
	pace   pace

	dialled atomic.Uint64 // counts the own connections
	breaks  atomic.Uint64 // counts the reasons for a mark; see Break
	polled  atomic.Int64  // when a guard was answered last, in nanoseconds since begun
	begun   time.Time
	wanted  chan struct{} // has something when a guard polls
	hurried atomic.Int64  // how many polls wait for the next look, which then does not block
	probed  atomic.Pointer[func(ProbeRead)]

	look lookState // only Run's

	mu        sync.Mutex
	ring      ring
	onVoid    []func(handles []Handle, all bool)
	onTrouble []func(reason string)
	last      looked // the newest look that counts
	trouble   error  // why there is none since; nil: there is
	warning   warning
	waiting   int           // polls
	news      chan struct{} // closed when waiting polls have something to say
	looks     chan struct{} // closed at the end of each look
}

// New makes a feed. It reads nothing before Run. It closes nothing but its own client: see Close.
func New(o Options) *Feed {
	f := newFeed(o)
	client, redial := o.DB.Apart(func(ctx context.Context, conn *redis.Conn) error {
		f.dialled.Add(1)
		if o.OnConnect == nil {
			return nil
		}
		return o.OnConnect(ctx, conn)
	})
	f.own = func(ctx context.Context, cmds ...redis.Cmder) {
		node, err := nodeOf(ctx, client, o.Key)
		if err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return
		}
		pipeline(ctx, node, cmds)
	}
	f.pool = func(ctx context.Context, cmds ...redis.Cmder) { pipeline(ctx, o.DB.Client, cmds) }
	f.ring.sharded = o.DB.IsCluster()
	f.close, f.redial = client.Close, redial
	return f
}

// newFeed is New without a Redis.
func newFeed(o Options) *Feed {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Feed{
		Options: o, limit: lookEntries, beats: beats{alone: o.Watermarks == nil, beating: make(chan struct{}, 1)}, begun: time.Now(), wanted: make(chan struct{}, 1),
		news: make(chan struct{}), looks: make(chan struct{}), trouble: errNoLook, redial: func() {},
	}
}

// sender sends commands as one pipeline, over one connection. Afterwards each has its answer, or its error.
type sender func(ctx context.Context, cmds ...redis.Cmder)

func pipeline(ctx context.Context, to redis.Cmdable, cmds []redis.Cmder) {
	_, _ = to.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, cmd := range cmds {
			_ = p.Process(ctx, cmd)
		}
		return nil
	})
}

// nodeOf is the client of the server that has the key.
func nodeOf(ctx context.Context, client redis.UniversalClient, key string) (redis.Cmdable, error) {
	if c, ok := client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, key)
	}
	return client, nil
}

// Close closes the feed's own connection.
func (f *Feed) Close() error { return f.close() }

// Break makes every cursor invalid before this replica's next look counts: Redis may have lost what was appended.
func (f *Feed) Break() { f.breaks.Add(1) }

// OnVoid has observe told of what is void, as [Options.Observe] is. So that it misses nothing, it is called before Run.
func (f *Feed) OnVoid(observe func(handles []Handle, all bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onVoid = append(f.onVoid, observe)
}

// OnTrouble has observe told, by one of [Reasons], each time that guards begin to get no answer. It must not block.
func (f *Feed) OnTrouble(observe func(reason string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onTrouble = append(f.onTrouble, observe)
}

// IsCurrent is whether everything that was appended longer than age ago was read, and the observers know it.
func (f *Feed) IsCurrent(age time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trouble == nil && !f.last.sent.IsZero() && time.Since(f.last.sent) <= age
}

// Status is the state of the feed, for operators.
type Status struct {
	Trouble error         // why guards get no answer; nil: they do
	Polled  bool          // within the last minute; else nothing looks
	LookAge time.Duration // since the newest look that counts was sent; negative: there was none
	Waiting int           // polls
	Entries int           // that this replica keeps
	Reach   time.Duration // how far back they go
}

// Status is the present state.
func (f *Feed) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Status{Trouble: f.trouble, Polled: f.isWanted(), LookAge: -1, Waiting: f.waiting, Entries: len(f.ring.entries)}
	if !f.last.sent.IsZero() {
		s.LookAge = time.Since(f.last.sent)
	}
	if len(f.ring.entries) > 0 {
		oldest, newest := f.ring.entries[0].id.ms, f.ring.newest().id.ms
		s.Reach = time.Duration(newest-oldest) * time.Millisecond
	}
	return s
}
