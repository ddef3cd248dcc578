package redisdb

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Apply sends writes that may be sent twice, and returns when they hold as [Options.Durability] asks. Unless it
// [Failed], they have their results.
//
// behind are commands that go after the writes: on the same connection and before the barrier, or in a cluster, where
// they may lie on other servers, in a pipeline of their own with its barrier, once the writes hold. Their answers are in
// themselves, and do not decide what Apply returns.
func (db *DB) Apply(ctx context.Context, op string, writes []*redis.IntCmd, behind ...redis.Cmder) error {
	cmds := asCommands(writes)
	if !db.IsCluster() {
		return db.apply(ctx, op, cmds, behind)
	}
	err := db.apply(ctx, op, cmds, nil)
	if Failed(err) || len(behind) == 0 {
		return err
	}
	return MostSevere(err, behindError(op, db.apply(ctx, op, behind, nil)))
}

// ApplyBehind sends commands behind a transaction that was applied, in a cluster, where they may lie on other servers. The
// caller has acquired the barrier. Their answers are in themselves.
func (db *DB) ApplyBehind(ctx context.Context, op string, behind ...redis.Cmder) error {
	return behindError(op, db.applyHeld(ctx, op, behind, nil))
}

// behindError is what an error of the commands behind the writes says of these, which were applied.
func behindError(op string, err error) error {
	switch {
	case !Failed(err):
		return err
	case ErrorPrefix(err) != "": // Redis has answered, and the command has the error
		return nil
	}
	return fmt.Errorf("%s: %w: %w", op, ErrUnconfirmed, err)
}

func (db *DB) apply(ctx context.Context, op string, cmds, behind []redis.Cmder) error {
	release, err := db.AcquireBarrier(ctx, op)
	if err != nil {
		return err
	}
	defer release()
	return db.applyHeld(ctx, op, cmds, behind)
}

// applyHeld is apply for a caller that has acquired the barrier.
func (db *DB) applyHeld(ctx context.Context, op string, cmds, behind []redis.Cmder) error {
	if !db.NeedsBarrier(ctx) {
		err := send(ctx, db.Client, append(cmds[:len(cmds):len(cmds)], behind...)...)
		if len(behind) > 0 {
			err = firstError(cmds)
		}
		return Unavailable(op, err)
	}
	shares, err := db.share(ctx, cmds)
	if err != nil {
		return Unavailable(op, err)
	}
	moved, err := db.applyShares(ctx, op, shares, behind)
	if len(moved) == 0 || Failed(err) {
		return err
	}
	shares, lost := db.redirect(ctx, moved)
	if lost != nil {
		return Unavailable(op, lost)
	}
	still, again := db.applyShares(ctx, op, shares, nil)
	if len(still) > 0 {
		return Unavailable(op, still[0].Err())
	}
	return MostSevere(err, again)
}

// share is what goes to one server, down one connection, with a barrier behind it.
type share struct {
	node *redis.Client
	cmds []redis.Cmder
	// asking: the slots are on their way to this server, which takes what follows ASKING.
	asking bool
}

// applyShares sends each server its share, all at once, and returns the commands that a cluster redirects.
func (db *DB) applyShares(ctx context.Context, op string, shares []share, behind []redis.Cmder) (moved []redis.Cmder, err error) {
	errs := make([]error, len(shares))
	var wg sync.WaitGroup
	for i, sh := range shares {
		wg.Go(func() { errs[i] = db.applyShare(ctx, op, sh, behind) })
	}
	wg.Wait()
	for _, sh := range shares {
		for _, cmd := range sh.cmds {
			if addr, _ := redirection(cmd.Err()); addr != "" {
				moved = append(moved, cmd)
			}
		}
	}
	return moved, MostSevere(errs...)
}

// applyShare sends one server its share. A redirection is left in its command.
func (db *DB) applyShare(ctx context.Context, op string, sh share, behind []redis.Cmder) error {
	b := db.newBarrier(ctx)
	sent := send(ctx, sh.node, append(append(sh.commands(ctx), behind...), b.cmd)...)
	if ErrorPrefix(sent) != "" {
		sent = nil // each command has its own
	}
	judged := db.judge(op, b, sent)
	if Failed(judged) {
		return judged
	}
	for _, cmd := range sh.cmds {
		if addr, _ := redirection(cmd.Err()); cmd.Err() != nil && addr == "" {
			return Unavailable(op, cmd.Err())
		}
	}
	return judged
}

// share finds the server of each command's key.
func (db *DB) share(ctx context.Context, cmds []redis.Cmder) (shares []share, err error) {
	nodes, ok := db.Client.(*redis.ClusterClient)
	if !ok {
		return []share{{node: db.Client.(*redis.Client), cmds: cmds}}, nil
	}
	for _, cmd := range cmds {
		node, err := nodes.MasterForKey(ctx, fmt.Sprint(cmd.Args()[1]))
		if err != nil {
			return nil, err
		}
		shares = addToShare(shares, node, false, cmd)
	}
	return shares, nil
}

// redirect finds the servers to which a cluster has redirected the commands. Whether they are where the other keys lie
// by now, they need not know yet.
func (db *DB) redirect(ctx context.Context, moved []redis.Cmder) (shares []share, err error) {
	var mu sync.Mutex
	primaries := map[string]*redis.Client{}
	if err := db.EachPrimary(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		primaries[node.Options().Addr] = node
		return nil
	}); err != nil {
		return nil, err
	}
	for _, cmd := range moved {
		addr, asking := redirection(cmd.Err())
		if primaries[addr] == nil {
			return nil, cmd.Err()
		}
		shares = addToShare(shares, primaries[addr], asking, cmd)
	}
	return shares, nil
}

func addToShare(shares []share, node *redis.Client, asking bool, cmd redis.Cmder) []share {
	for i := range shares {
		if shares[i].node == node && shares[i].asking == asking {
			shares[i].cmds = append(shares[i].cmds, cmd)
			return shares
		}
	}
	return append(shares, share{node, []redis.Cmder{cmd}, asking})
}

// commands are those of the share as they are sent to its server.
func (sh share) commands(ctx context.Context) []redis.Cmder {
	list := make([]redis.Cmder, 0, 2*len(sh.cmds)+1)
	for _, cmd := range sh.cmds {
		if sh.asking {
			list = append(list, redis.NewStatusCmd(ctx, "asking"))
		}
		list = append(list, cmd)
	}
	return list
}

// redirection is the address of the node that has the key (MOVED), or is about to (ASK). Empty: there is none.
func redirection(err error) (addr string, asking bool) {
	if addr, moved := redis.IsMovedError(err); moved {
		return addr, false
	}
	return redis.IsAskError(err)
}

// pipeliner is a client, or one connection.
type pipeliner interface {
	Pipelined(ctx context.Context, fn func(redis.Pipeliner) error) ([]redis.Cmder, error)
}

// send sends commands as one pipeline.
func send(ctx context.Context, c pipeliner, cmds ...redis.Cmder) error {
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, cmd := range cmds {
			_ = p.Process(ctx, cmd)
		}
		return nil
	})
	return err
}

func firstError(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

func asCommands(writes []*redis.IntCmd) []redis.Cmder {
	cmds := make([]redis.Cmder, len(writes))
	for i, cmd := range writes {
		cmds[i] = cmd
	}
	return cmds
}
