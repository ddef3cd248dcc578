package feed

import (
	"context"
	"errors"
	"slices"
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

// looked is a look that counts: all that was appended before it was sent is in the ring, before this position.
type looked struct {
	sent time.Time
	end  uint64
}

// lookState is what a look leaves to the next one.
type lookState struct {
	mark    tag     // of the mark that was appended last
	marking uint64  // Feed.breaks before that
	marked  uint64  // Feed.breaks before the last of these marks that was read
	gone    entryID // the entry that was gone when the ring was restarted
	hidden  uint64  // the connection by which Redis did not tell its replication id
	unseen  []entry // what the observers were not told yet
}

// Run looks while guards poll, and beats once a second, until ctx is done.
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
	switch {
	case err == nil, errors.Is(err, errMore), errors.Is(err, errGone), errors.Is(err, errUnmarked):
	default: // a former primary may be at the other end, for as long as the connection lasts
		f.redial()
	}
}

// answer is that of one look.
type answer struct {
	sent, read   time.Time
	blocked      bool // whether it waited for an entry
	replication  string
	entries      []redis.XMessage
	last         []redis.XMessage // what Redis has under the id of the last entry of the ring
	beat         int64            // of this replica, as this Redis has it, and
	acknowledged int64            // as the pool had written it before
}

// read sends one look, and checks that its answers are those of the primary that the pool writes to. The order matters: XRANGE
// comes after XREAD. If it still finds the last entry, XREAD has continued from that entry.
func (f *Feed) read(ctx context.Context) (a answer, err error) {
	a.sent = time.Now()
	if !f.isTrusted() {
		return a, errUntrusted
	}
	if err := f.beats.check(a.sent); err != nil {
		return a, err
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
	cmds := f.lookCommands(ctx, last, block)
	f.own(ctx, cmds.all()...)
	a.read = time.Now()
	if err := cmds.err(); err != nil {
		return a, redisdb.Unavailable("look", err)
	}
	if a.replication, err = f.replicationOf(cmds.info); err != nil {
		return a, err
	}
	for _, s := range cmds.entries.Val() {
		a.entries = s.Messages
	}
	a.last = cmds.last.Val()
	if cmds.beat != nil {
		a.beat = beatOf(cmds.beat.Val())
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
	read := []any{"xread", "count", f.limit}
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

// err is why the look does not count. INFO may be denied. A canary that is rejected, for whatever reason, is no proof.
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
// restart of a primary. Empty: Redis tells none, so that each connection may be to another one, and needs a mark of this
// replica.
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
	if role != "" && role != "master" {
		return "", errNotPrimary
	}
	if at := f.dialled.Load(); id == "" && f.look.hidden != at {
		f.look.hidden = at
		f.Break()
	}
	return id, nil
}

// take adds what was read to the ring. The error is why the look does not count. woken: waiting polls are answered.
func (f *Feed) take(ctx context.Context, a answer) (woken bool, err error) {
	f.mu.Lock()
	woken, err = f.addEntries(a)
	isMarked := a.replication == "" || a.replication == f.ring.replication
	restates := f.ring.end()-f.ring.restated > restateAfter
	f.mu.Unlock()
	f.tellObservers()
	if err != nil {
		return woken, err
	}
	if a.beat > f.beats.acknowledged.Load() {
		f.beats.awaitBeat(ctx) // it may find that what was appended before it is lost
	}
	if a.beat < a.acknowledged || a.beat > f.beats.acknowledged.Load() {
		return woken, errBehind
	}
	if !f.isTrusted() {
		return woken, errUntrusted
	}
	breaks := f.breaks.Load() // now: if Redis was not trusted for a moment, there was a break
	if !isMarked || f.look.marked != breaks {
		f.appendMark(ctx, a.replication)
		return woken, errUnmarked
	}
	if restates && a.replication != "" {
		f.append(ctx, f.appendCommand(ctx, restateField, a.replication))
	}
	f.beats.continuous.Store(breaks + 1)
	return woken, nil
}

// addEntries adds to the ring what a look has read, if the ring still continues. The caller holds the lock.
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
			f.observe(entry{field: breakField}) // what was not read may be gone with it
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
		f.observeProbe(e, f.ring.end()-1)
	}
	if len(a.entries) >= f.limit {
		return woken, errMore
	}
	return woken, nil
}

// observe keeps an entry for tellObservers.
func (f *Feed) observe(e entry) {
	if len(e.voids) > 0 || e.resets() {
		f.look.unseen = append(f.look.unseen, e)
	}
}

// tellObservers tells them what is void, without the lock: they may ask the feed something.
func (f *Feed) tellObservers() {
	f.mu.Lock()
	told := slices.Clone(f.onVoid)
	f.mu.Unlock()
	if f.Observe != nil {
		told = append(told, f.Observe)
	}
	for _, e := range f.look.unseen {
		for _, tell := range told {
			tell(e.voids, e.resets())
		}
	}
	f.look.unseen = nil
}

// appendMark makes every older cursor invalid. The next look reads it. A break that comes now is not covered by it.
func (f *Feed) appendMark(ctx context.Context, replication string) {
	f.look.mark, f.look.marking = newTag(), f.breaks.Load()
	f.append(ctx, redis.NewStringCmd(ctx, "xadd", f.Key, "maxlen", "~", maxEntries, "*", tagField, string(f.look.mark[:]), markField, replication))
}

// append sends an entry. Its error may be lost: no look counts before it has read the entry.
func (f *Feed) append(ctx context.Context, cmd *redis.StringCmd) {
	if f.own(ctx, cmd); cmd.Err() != nil {
		f.Logger.DebugContext(ctx, "appending to the feed failed; the next look tries again", "error", cmd.Err())
	}
}

// publish tells the polls the result of a look.
func (f *Feed) publish(sent time.Time, woken bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logTrouble(err)
	f.tellTrouble(err)
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
