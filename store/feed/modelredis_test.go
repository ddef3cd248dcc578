package feed

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	modelKey   = "feed"
	modelBeats = "beats"
)

// data is what a Redis has. It is copied before it is changed, so that an older state can come back.
type data struct {
	stream  []redis.XMessage
	last    entryID
	beats   map[string]string
	expire  time.Time // of the beats
	marks   map[string]int64
	counter int64
	deleted map[int]int // what is revoked → the number of the revocation; not used when its records are on another shard
}

func (d *data) clone() *data {
	c := *d
	c.stream = slices.Clip(d.stream)
	c.beats, c.marks, c.deleted = maps.Clone(d.beats), maps.Clone(d.marks), maps.Clone(d.deleted)
	return &c
}

func newData() *data {
	return &data{beats: map[string]string{}, marks: map[string]int64{}, deleted: map[int]int{}}
}

// redisModel is one Redis process. The lock of the world guards it.
type redisModel struct {
	w       *world
	replid  string
	primary bool
	up      bool
	oom     bool
	lag     time.Duration // its clock
	d       *data
	past    []version
	changed chan struct{} // closed at each change
}

type version struct {
	at time.Time
	d  *data
}

// pastTime is how far back a loss goes at most.
const pastTime = 6 * time.Second

// write changes the data.
func (n *redisModel) write(change func(d *data)) {
	n.past = append(n.past, version{time.Now(), n.d})
	for len(n.past) > 1 && time.Since(n.past[1].at) > pastTime {
		n.past = n.past[1:]
	}
	n.d = n.d.clone()
	change(n.d)
	n.wake()
}

func (n *redisModel) wake() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// before is what it had when this number of writes had not been made.
func (n *redisModel) before(writes int) *data {
	if writes == 0 || len(n.past) == 0 {
		return n.d
	}
	return n.past[max(0, len(n.past)-writes)].d
}

type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

const (
	errReadOnly = redisError("READONLY You can't write against a read only replica.")
	errMemory   = redisError("OOM command not allowed when used memory > 'maxmemory'.")
	errUnblock  = redisError("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)")
)

// do executes one command; the caller does not hold the lock. It is false if the connection is lost.
func (n *redisModel) do(cmd redis.Cmder) bool {
	w := n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if !n.up {
		cmd.SetErr(io.EOF)
		return false
	}
	args := cmd.Args()
	name, _ := args[0].(string)
	if !n.primary && slices.Contains([]string{"xadd", "xdel", "del", "hset", "hdel", "pexpire"}, name) {
		cmd.SetErr(errReadOnly)
		return true
	}
	if n.oom && (name == "xadd" || name == "hset") {
		cmd.SetErr(errMemory)
		return true
	}
	switch c := cmd.(type) {
	case *redis.XStreamSliceCmd:
		return n.xread(c)
	case *redis.XMessageSliceCmd:
		id, _ := parseEntryID(args[2].(string))
		if i, found := n.find(id); found {
			c.SetVal([]redis.XMessage{n.d.stream[i]})
		}
	case *redis.MapStringStringCmd:
		c.SetVal(maps.Clone(n.beats()))
	case *redis.BoolCmd:
		n.write(func(d *data) { d.expire = time.Now().Add(beatsTime) })
	case *redis.StringCmd:
		n.doString(c, name, args)
	case *redis.IntCmd:
		switch name {
		case "del":
			n.write(func(d *data) { d.stream, d.last = nil, entryID{} })
		case "hset":
			n.write(func(d *data) {
				d.beats = maps.Clone(n.beats())
				d.beats[args[2].(string)] = fmt.Sprint(args[3])
			})
		case "hdel":
			n.write(func(d *data) { delete(d.beats, args[2].(string)) })
		}
	}
	return true
}

func (n *redisModel) doString(c *redis.StringCmd, name string, args []any) {
	switch name {
	case "info":
		role := "slave"
		if n.primary {
			role = "master"
		}
		if n.w.hidden {
			c.SetErr(redisError("NOPERM this user has no permissions to run the 'info' command"))
		} else {
			c.SetVal("# Replication\r\nrole:" + role + "\r\nmaster_replid:" + n.replid + "\r\n")
		}
	case "hget":
		if beat, there := n.beats()[args[2].(string)]; there {
			c.SetVal(beat)
		} else {
			c.SetErr(redis.Nil)
		}
	case "xadd":
		values := map[string]any{}
		for i := 6; i+1 < len(args); i += 2 {
			values[args[i].(string)] = args[i+1]
		}
		n.write(func(d *data) {
			now := uint64(time.Now().Add(n.lag).UnixMilli())
			if now > d.last.ms {
				d.last = entryID{now, 0}
			} else {
				d.last.seq++
			}
			d.stream = append(d.stream, redis.XMessage{ID: d.last.String(), Values: values})
			if len(d.stream) > n.w.length {
				d.stream = slices.Clone(d.stream[len(d.stream)-n.w.length*3/4:])
			}
		})
	}
}

func (n *redisModel) beats() map[string]string {
	if time.Now().After(n.d.expire) && !n.d.expire.IsZero() {
		return map[string]string{}
	}
	return n.d.beats
}

func (n *redisModel) find(id entryID) (i int, found bool) {
	return slices.BinarySearchFunc(n.d.stream, id, func(m redis.XMessage, id entryID) int {
		of, _ := parseEntryID(m.ID)
		return of.compare(id)
	})
}

// xread waits without the lock.
func (n *redisModel) xread(c *redis.XStreamSliceCmd) bool {
	args := c.Args()
	last, _ := parseEntryID(args[len(args)-1].(string))
	count, _ := strconv.Atoi(fmt.Sprint(args[2]))
	end := time.Now()
	if strings.EqualFold(fmt.Sprint(args[3]), "block") {
		block, _ := args[4].(int64)
		end = end.Add(time.Duration(block) * time.Millisecond)
	}
	for {
		i, found := n.find(last)
		if found {
			i++
		}
		if more := n.d.stream[i:]; len(more) > 0 {
			c.SetVal([]redis.XStream{{Stream: modelKey, Messages: more[:min(count, len(more))]}})
			return true
		}
		left := time.Until(end)
		if left <= 0 {
			c.SetErr(redis.Nil)
			return true
		}
		changed, was := n.changed, n.primary
		n.w.mu.Unlock()
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		n.w.mu.Lock()
		switch {
		case !n.up:
			c.SetErr(io.EOF)
			return false
		case was && !n.primary:
			c.SetErr(errUnblock)
			return true
		}
	}
}

// link is a connection of a replica to Redis.
type link struct {
	r    *replicaModel
	pool bool
	node *redisModel // where the connection leads; nil: it is dialled
}

// send is a [sender].
func (l *link) send(_ context.Context, cmds ...redis.Cmder) {
	w := l.r.w
	w.sent.Add(1)
	fail := func() {
		for _, cmd := range cmds {
			cmd.SetErr(io.ErrUnexpectedEOF)
		}
		l.drop()
	}
	l.r.stand()
	if w.chance(150) { // it arrives when the caller has given up
		l.executeLater(w.until(3*time.Second), cmds)
		time.Sleep(600 * time.Millisecond)
		fail()
		return
	}
	time.Sleep(w.latency())
	if l.r.isDead() {
		fail()
		return
	}
	n := l.dial()
	lost := !l.execute(n, cmds)
	time.Sleep(w.latency())
	l.r.stand()
	if lost || l.r.isDead() || w.chance(150) {
		fail()
		return
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil && strings.HasPrefix(cmd.Err().Error(), "READONLY") {
			l.drop() // as go-redis does
		}
	}
}

// drop closes the connection.
func (l *link) drop() {
	l.r.w.mu.Lock()
	defer l.r.w.mu.Unlock()
	l.node = nil
}

func (l *link) dial() *redisModel {
	l.r.w.mu.Lock()
	defer l.r.w.mu.Unlock()
	if l.node == nil || l.pool {
		if l.node = l.r.w.primary; !l.pool {
			l.r.f.dialled.Add(1)
		}
	}
	return l.node
}

func (l *link) execute(n *redisModel, cmds []redis.Cmder) bool {
	for i, cmd := range cmds {
		if !n.do(cmd) {
			for _, rest := range cmds[i:] {
				rest.SetErr(io.EOF)
			}
			return false
		}
		if l.r.w.between != nil {
			l.r.w.between(n, cmd)
		}
		if l.r.w.chance(20) { // others come in between
			time.Sleep(l.r.w.until(2 * time.Millisecond))
		}
	}
	return true
}

// executeLater executes the writes.
func (l *link) executeLater(after time.Duration, cmds []redis.Cmder) {
	n := l.dial()
	var late []redis.Cmder
	for _, cmd := range cmds {
		switch args := cmd.Args(); args[0] {
		case "xadd":
			late = append(late, redis.NewStringCmd(context.Background(), args...))
		case "del", "hset":
			late = append(late, redis.NewIntCmd(context.Background(), args...))
		}
	}
	l.r.w.wg.Go(func() {
		time.Sleep(after)
		l.execute(n, late)
	})
}
