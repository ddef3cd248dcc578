package redisdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// What was sent on a connection may still be applied after the connection was closed here: a path that loses
// packets, a proxy, or a server that hangs delivers it later. CLIENT KILL on another connection ends that. When the
// server has answered it, each command of the killed connection was applied before, or it never will be.

const (
	// settleTime bounds CLIENT KILL within a request, whose write was not answered in time.
	settleTime = 300 * time.Millisecond
	// heartbeatSettleTime bounds it within a heartbeat, which has 5 s.
	heartbeatSettleTime = 2 * time.Second
	// settlePause is how long requests do not try it after it failed. The heartbeat tries it in any case.
	settlePause = time.Second
	// maxUnfinished is how many connections are remembered of one server. Older ones are dropped.
	maxUnfinished = 4096
)

// identity is how a server knows a connection. The address tells it from one of another server with the same number.
type identity struct{ id, addr string }

// unfinished are the connections to one server that were closed before everything was answered.
func (l *connections) unfinished() []identity {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost[:len(l.lost):len(l.lost)]
}

// addUnfinished remembers a connection, until the server has closed it too. The caller holds the lock.
func (l *connections) addUnfinished(who identity) {
	l.lost = append(l.lost, who)
	l.lost = l.lost[max(0, len(l.lost)-maxUnfinished):]
}

// settle closes the unfinished connections at the server. When it has returned nil, nothing is applied any more that
// was sent on them. One call at a time asks the server; those that wait find nothing left to do, or their time is over.
func (l *connections) settle(ctx context.Context) error {
	select {
	case l.settling <- struct{}{}:
		defer func() { <-l.settling }()
	case <-ctx.Done():
		return fmt.Errorf("wait to close connections at the server: %w", ctx.Err())
	}
	lost := l.unfinished()
	if len(lost) == 0 {
		return nil
	}
	// On a connection of its own: the others may all wait for an answer, or lead to another server by now.
	own := sideClient(l.client)
	defer func() { _ = own.Close() }()
	err := kill(ctx, own, lost)
	if err != nil { // there may be no place for another connection
		err = kill(ctx, l.client, lost)
	}
	if err != nil {
		l.failedAt.Store(time.Now().UnixNano())
		return fmt.Errorf("close connections at the server: %w", err)
	}
	l.failedAt.Store(0)
	l.forget(lost)
	return nil
}

// forget drops connections that the server has closed. The oldest may have been dropped meanwhile.
func (l *connections) forget(closed []identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(closed) > 0 && len(l.lost) > 0 {
		if closed[0] == l.lost[0] {
			l.lost = l.lost[1:]
		}
		closed = closed[1:]
	}
}

// failing is whether the last CLIENT KILL was not answered, within the time; 0: whenever that was.
func (l *connections) failing(within time.Duration) bool {
	at := l.failedAt.Load()
	return at != 0 && (within == 0 || time.Since(time.Unix(0, at)) < within)
}

// kill closes connections at the server. That it has none of them any more is an answer. So is that it rejects CLIENT
// KILL: then nothing can be done.
func kill(ctx context.Context, c *redis.Client, lost []identity) error {
	cmds := make([]redis.Cmder, len(lost))
	for i, who := range lost {
		cmds[i] = redis.NewIntCmd(ctx, "client", "kill", "id", who.id, "addr", who.addr)
	}
	_ = send(ctx, c, cmds...) // each command has its own error
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && !isRejected(err) {
			return err
		}
	}
	return nil
}

// isRejected is whether Redis rejects CLIENT KILL, or a server that is no Redis does not know it, as it will the next
// time too.
func isRejected(err error) bool {
	switch ErrorPrefix(err) {
	case "", "BUSY", "LOADING", "NOAUTH", "WRONGPASS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN":
		return false
	}
	return !redis.IsMaxClientsError(err)
}

// sideClient is a client beside another, to the same server. It has one connection, and none of the hooks.
func sideClient(of *redis.Client) *redis.Client {
	o := *of.Options()
	o.OnConnect = nil
	o.PoolSize, o.MinIdleConns, o.MaxActiveConns = 1, 0, 0
	c := redis.NewClient(&o)
	c.AddHook(unanswered{})
	return c
}

// servers are the connections of each server.
func (db *DB) servers() []*connections {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.connections[:len(db.connections):len(db.connections)]
}

// Settle makes sure that no command is applied any more whose answer this DB has given up. An error says that this is
// not known: a server did not answer. In a cluster it does not wait for a server that did not answer the last time, and
// asks it meanwhile. If its ACL forbids CLIENT KILL, nothing can be done, and that is no error: see [DB.CheckKill].
func (db *DB) Settle(ctx context.Context) error {
	return db.settle(ctx, heartbeatSettleTime, func(l *connections) bool {
		if !db.IsCluster() || !l.failing(0) {
			return true
		}
		if len(l.settling) == 0 {
			go func() { _ = db.settleOne(context.WithoutCancel(ctx), heartbeatSettleTime, l) }()
		}
		return false
	})
}

// SettleAfter is [DB.Settle] behind commands that ended with these errors, before their caller is answered: for a short
// time, and not again at once after it failed. Every write has it but a transaction, whose connection is closed only when
// Watch has returned. It does nothing if Redis has answered them all.
func (db *DB) SettleAfter(ctx context.Context, errs ...error) {
	if !slices.ContainsFunc(errs, isUnanswered) {
		return
	}
	_ = db.settle(context.WithoutCancel(ctx), settleTime, func(l *connections) bool { return !l.failing(settlePause) })
}

// isUnanswered is whether a command that ended so may have no answer.
func isUnanswered(err error) bool { return Failure(err) != nil && ErrorPrefix(err) == "" }

// settle settles the servers that have unfinished connections and that due accepts, all at once.
func (db *DB) settle(ctx context.Context, limit time.Duration, due func(*connections) bool) error {
	var unsettled []*connections
	for _, l := range db.servers() {
		if len(l.unfinished()) > 0 && due(l) {
			unsettled = append(unsettled, l)
		}
	}
	errs := make([]error, len(unsettled))
	var wg sync.WaitGroup
	for i, l := range unsettled {
		wg.Go(func() { errs[i] = db.settleOne(ctx, limit, l) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// settleOne settles one server. One of a cluster that does not answer and that go-redis has given up is forgotten: it has
// left the cluster.
func (db *DB) settleOne(ctx context.Context, limit time.Duration, l *connections) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := l.settle(ctx)
	if errors.Is(err, redis.ErrClosed) {
		db.dropConnections(l)
	}
	return err
}

// ErrKill: CLIENT KILL does not do here what [DB.Settle] needs.
var ErrKill = errors.New("abandoned connections cannot be closed at Redis")

// CheckKill tries on two connections of its own whether CLIENT KILL closes one and not the other. ErrKill: it is
// forbidden, or a proxy shares connections among clients. ErrUnavailable: it could not be tried.
func (db *DB) CheckKill(ctx context.Context) error {
	if db.IsEmbedded() {
		return nil
	}
	return db.EachPrimary(ctx, func(ctx context.Context, node *redis.Client) error {
		victim, killer := sideClient(node), sideClient(node)
		defer func() { _ = victim.Close() }()
		defer func() { _ = killer.Close() }()
		return tryKill(ctx, victim.Conn(), killer.Conn())
	})
}

func tryKill(ctx context.Context, victim, killer *redis.Conn) error {
	defer func() { _ = victim.Close() }()
	defer func() { _ = killer.Close() }()
	const op = "try CLIENT KILL"
	info, err := victim.Do(ctx, "client", "info").Text()
	who, ok := parseIdentity(info)
	switch {
	case err != nil && ErrorPrefix(err) == "":
		return Unavailable(op, err)
	case err != nil || !ok:
		return fmt.Errorf("%w: CLIENT INFO does not name the connection", ErrKill)
	}
	killed, err := killer.Do(ctx, "client", "kill", "id", who.id, "addr", who.addr).Int()
	switch {
	case ErrorPrefix(err) == "NOPERM":
		return fmt.Errorf("%w: the user may not use CLIENT KILL", ErrKill)
	case err != nil && isRejected(err):
		return fmt.Errorf("%w: CLIENT KILL is rejected: %s", ErrKill, withoutArgs(err.Error()))
	case err != nil:
		return Unavailable(op, err)
	}
	isOpen := func(c *redis.Conn) bool { // Redis answers PING with an error when its disk is full
		err := c.Ping(ctx).Err()
		return err == nil || ErrorPrefix(err) != ""
	}
	if killed != 1 || isOpen(victim) || !isOpen(killer) {
		return fmt.Errorf("%w: CLIENT KILL closes another connection, as behind a proxy that shares them", ErrKill)
	}
	return nil
}
