package feed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

const (
	// blockTime is how long a look waits for an entry.
	blockTime = 100 * time.Millisecond
	// lookEntries is how many entries a look reads at most. One that reads so many does not count: there may be more.
	lookEntries = 1_024
	// lookTimeout bounds a look.
	lookTimeout = time.Second
	// wantedTime is how long the looks go on without a poll.
	wantedTime = time.Minute
)

// Why guards get no answer.
var (
	errNoLook     = unavailable("the feed was not read yet")
	errNotPrimary = unavailable("the feed was read from a Redis that is not the primary")
	errUntrusted  = unavailable("this Redis may have lost writes, so the feed is not read")
	errMoved      = unavailable("the connection to the feed was replaced while it was read")
	errBehind     = unavailable("the feed was read from a Redis that has less than the one that is written to")
	errMore       = unavailable("there is more in the feed than was read")
	errGone       = unavailable("what was read of the feed is gone")
	errUnmarked   = unavailable("the feed has no mark of this Redis yet")
)

func unavailable(text string) error { return fmt.Errorf("%w: %s", redisdb.ErrUnavailable, text) }

// looked is a look that counts: all that was appended before it was sent is in the ring, before this position.
type looked struct {
	sent time.Time
	end  uint64
}

// lookState is what one look leaves to the next.
type lookState struct {
	mark    tag     // of the mark that was appended last
	marking uint64  // Feed.breaks before that
	marked  uint64  // Feed.breaks before the last mark that was read
	gone    entryID // the entry that was gone when the ring was restarted
	connID  string  // the replication id of a Redis that tells none
	conn    uint64  // the connection that it stands for
}

// Run looks while guards poll, until ctx is done. It says once a second that this replica appends what it revokes.
func (f *Feed) Run(ctx context.Context) {
	beating := make(chan struct{})
	go func() { defer close(beating); f.beat(ctx) }()
	defer func() { <-beating }()
	for ctx.Err() == nil {
		if !f.isWanted() {
			select {
			case <-f.wanted:
			case <-ctx.Done():
				return
			}
		}
		f.Look(ctx)
		f.pace.wait(ctx)
	}
}

// want has the looks go on for a while.
func (f *Feed) want() {
	f.polled.Store(int64(time.Since(f.begun)) + 1)
	select {
	case f.wanted <- struct{}{}:
	default:
	}
}

func (f *Feed) isWanted() bool {
	at := f.polled.Load()
	return at > 0 && time.Since(f.begun)-time.Duration(at) < wantedTime
}

// Look reads what was appended since the last look, and publishes it. It waits for an entry up to 100 ms.
func (f *Feed) Look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	a, err := f.read(ctx)
	woken := false
	if err == nil {
		woken, err = f.take(ctx, a)
	}
	f.publish(a.sent, woken, err)
	f.pace.looked(woken, a.blocked, err)
}

// answer is that of one look.
type answer struct {
	sent, read   time.Time
	blocked      bool // whether it waited for an entry
	replication  string
	entries      []redis.XMessage
	last         []redis.XMessage // what is now where the ring ends
	beat         int64            // of this replica, as this Redis has it, and
	acknowledged int64            // as the pool had written it before
}

// read sends one look, and checks that its answers are those of the primary that the pool writes to. The order matters: what
// the last command still finds, XREAD has continued.
func (f *Feed) read(ctx context.Context) (a answer, err error) {
	if !f.isTrusted() {
		return a, errUntrusted
	}
	if err := f.beats.check(); err != nil {
		return a, err
	}
	node, err := f.node(ctx)
	if err != nil {
		return a, redisdb.Unavailable("look", err)
	}
	f.mu.Lock()
	last, empty := f.end()
	f.mu.Unlock()
	block := blockTime
	if f.hurried.Load() > 0 || empty {
		block = 0
	}
	a.blocked = block > 0
	a.acknowledged = f.beats.acknowledged.Load()
	connection := f.dialled.Load()
	a.sent = time.Now()
	cmds := f.lookCommands(ctx, last, block)
	_, _ = node.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, cmd := range cmds.all() {
			_ = p.Process(ctx, cmd)
		}
		return nil
	})
	a.read = time.Now()
	if err := cmds.err(); err != nil {
		return a, redisdb.Unavailable("look", err)
	}
	if now := f.dialled.Load(); now != connection && connection > 0 {
		return a, errMoved
	}
	if a.replication, err = f.replicationOf(cmds.info); err != nil {
		return a, err
	}
	for _, s := range cmds.entries.Val() {
		a.entries = s.Messages
	}
	a.last = cmds.last.Val()
	if cmds.beat != nil {
		a.beat, _ = cmds.beat.Int64()
		a.beat = max(a.beat, -a.beat)
	}
	return a, nil
}

// end is the id of the last entry that was read, from which the next look goes on.
func (f *Feed) end() (last entryID, empty bool) {
	if e := f.ring.newest(); e != nil {
		return e.id, false
	}
	return entryID{}, true
}

// node is the client of the server that has the stream.
func (f *Feed) node(ctx context.Context) (*redis.Client, error) {
	if c, ok := f.client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, f.Key)
	}
	return f.client.(*redis.Client), nil
}

func (f *Feed) isTrusted() bool { return f.Trusted == nil || f.Trusted() }

// lookCommands are one look.
type lookCommands struct {
	info    *redis.StringCmd // nil when embedded, as beat
	canary  *redis.IntCmd    // a write that changes nothing: only a primary takes it
	entries *redis.XStreamSliceCmd
	last    *redis.XMessageSliceCmd
	beat    *redis.StringCmd
}

func (f *Feed) lookCommands(ctx context.Context, last entryID, block time.Duration) (c lookCommands) {
	if f.Watermarks != nil {
		c.info = redis.NewStringCmd(ctx, "info", "replication")
		c.beat = redis.NewStringCmd(ctx, "hget", f.BeatsKey, f.Replica)
	}
	c.canary = redis.NewIntCmd(ctx, "xdel", f.Key, "0-0")
	read := []any{"xread", "count", lookEntries}
	if block > 0 {
		read = append(read, "block", block.Milliseconds())
	}
	c.entries = redis.NewXStreamSliceCmd(ctx, append(read, "streams", f.Key, last.String())...)
	c.last = redis.NewXMessageSliceCmd(ctx, "xrange", f.Key, last.String(), last.String())
	return c
}

func (c lookCommands) all() []redis.Cmder {
	if c.info == nil {
		return []redis.Cmder{c.canary, c.entries, c.last}
	}
	return []redis.Cmder{c.info, c.canary, c.entries, c.last, c.beat}
}

// err is why the look does not count. INFO may be denied. A canary that is refused, for whatever reason, is no proof.
func (c lookCommands) err() error {
	failed := []error{c.canary.Err(), c.last.Err()}
	if err := c.entries.Err(); !errors.Is(err, redis.Nil) {
		failed = append(failed, err)
	}
	if c.beat != nil && !errors.Is(c.beat.Err(), redis.Nil) {
		failed = append(failed, c.beat.Err())
	}
	if c.info != nil && redisdb.ErrorPrefix(c.info.Err()) == "" {
		failed = append(failed, c.info.Err())
	}
	return errors.Join(failed...)
}

// replicationOf is the id that names the history of this primary. Redis draws a new one at each promotion, and at each
// restart of a primary. Where Redis tells none, each connection has its own.
func (f *Feed) replicationOf(info *redis.StringCmd) (string, error) {
	if info == nil {
		return "embedded", nil
	}
	role, id := "", ""
	for line := range strings.Lines(info.Val()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "role":
			role = value
		case "master_replid":
			id = value
		}
	}
	switch {
	case role != "" && role != "master":
		return "", errNotPrimary
	case id != "":
		return id, nil
	}
	if at := f.dialled.Load(); f.look.connID == "" || f.look.conn != at {
		t := newTag()
		f.look.connID, f.look.conn = fmt.Sprintf("connection %x", t[:]), at
	}
	return f.look.connID, nil
}

// take adds what was read to the ring. It is nil if the look counts. woken: waiting polls have something to say.
func (f *Feed) take(ctx context.Context, a answer) (woken bool, err error) {
	f.mu.Lock()
	woken, err = f.addEntries(a)
	if err == nil && (f.look.marked != f.breaks.Load() || f.ring.replication != a.replication) {
		err = errUnmarked
	}
	restate := f.ring.end()-f.ring.restated > restateAfter
	f.mu.Unlock()
	switch {
	case errors.Is(err, errUnmarked):
		f.appendMark(ctx, a.replication)
	case err == nil && restate:
		f.append(ctx, f.appendCommand(ctx, restateField, a.replication))
	}
	switch {
	case err != nil:
		return woken, err
	case a.beat < a.acknowledged:
		return woken, errBehind
	case !f.isTrusted():
		return woken, errUntrusted
	}
	f.beats.continuous.Store(true)
	return woken, nil
}

// addEntries does so. The caller holds the lock.
func (f *Feed) addEntries(a answer) (woken bool, err error) {
	if newest := f.ring.newest(); newest != nil {
		found := len(a.last) == 1
		if found {
			e, err := parseEntry(a.last[0], a.read)
			found = err == nil && e.Cursor == newest.Cursor
		}
		if !found {
			f.look.gone = newest.id
			f.ring.restart()
			return true, errGone
		}
	}
	wasEmpty := len(f.ring.entries) == 0
	for _, m := range a.entries {
		e, err := parseEntry(m, a.read)
		if err != nil {
			return woken, redisdb.Unavailable("look", err)
		}
		// A trim takes the oldest. If anything older than what is gone is there, Redis has lost data.
		if wasEmpty && f.look.gone != (entryID{}) && e.id.compare(f.look.gone) <= 0 {
			f.Break()
		}
		wasEmpty, f.look.gone = false, entryID{}
		f.ring.add(e)
		woken = woken || e.wakes()
		if e.tag == f.look.mark && e.field == markField {
			f.look.marked = f.look.marking
		}
		f.observe(e)
	}
	if len(a.entries) >= lookEntries {
		return woken, errMore
	}
	return woken, nil
}

func (f *Feed) observe(e entry) {
	if f.Observe != nil && (len(e.voids) > 0 || e.resets()) {
		f.Observe(e.voids, e.resets())
	}
}

// appendMark makes every older cursor invalid. The next look reads it.
func (f *Feed) appendMark(ctx context.Context, replication string) {
	f.look.mark, f.look.marking = newTag(), f.breaks.Load()
	f.append(ctx, redis.NewStringCmd(ctx, "xadd", f.Key, "maxlen", "~", maxEntries, "*", tagField, string(f.look.mark[:]), markField, replication))
}

// append sends what no look counts on before it has read it.
func (f *Feed) append(ctx context.Context, cmd *redis.StringCmd) {
	node, err := f.node(ctx)
	if err == nil {
		err = node.Process(ctx, cmd)
	}
	if err != nil {
		f.Logger.DebugContext(ctx, "appending to the feed failed; the next look tries again", "error", err)
	}
}

// publish tells the polls what became of a look.
func (f *Feed) publish(sent time.Time, woken bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if (err == nil) != (f.trouble == nil) {
		f.logTrouble(err)
	}
	if f.trouble = err; err == nil {
		f.last = looked{sent, f.ring.end()}
	}
	if woken {
		f.pace.wake(f.waiting)
		close(f.news)
		f.news = make(chan struct{})
	}
	close(f.looks)
	f.looks = make(chan struct{})
}

func (f *Feed) logTrouble(err error) {
	if err == nil {
		f.Logger.Info("guards are answered again")
	} else if !errors.Is(err, errNoLook) {
		f.Logger.Warn("the feed cannot be read; guards ask at each call", "error", err)
	}
}
