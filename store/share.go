package store

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// share is what goes to one server, down one connection, with its proof behind it.
type share struct {
	node *redis.Client
	cmds []*redis.IntCmd
	// asking: the slots are on their way to this server, which takes what is asked for so.
	asking bool
}

// carryOut sends the commands of ends, and returns when they hold as [Options.Durability] asks. Unless something
// failed, they have their results.
func (s *Store) carryOut(ctx context.Context, op string, cmds []*redis.IntCmd) error {
	if !s.confirms(ctx) {
		return unavailable(op, send(ctx, s.rdb, asCommands(cmds)...))
	}
	done, err := s.turn(ctx, op)
	if err != nil {
		return err
	}
	defer done()
	shares, err := s.share(ctx, cmds)
	if err != nil {
		return unavailable(op, err)
	}
	moved, err := s.carryOutShares(ctx, op, shares)
	if len(moved) == 0 || failed(err) {
		return err
	}
	shares, lost := s.follow(ctx, moved)
	if lost != nil {
		return unavailable(op, lost)
	}
	still, again := s.carryOutShares(ctx, op, shares)
	if len(still) > 0 {
		return unavailable(op, still[0].Err())
	}
	return worst(err, again)
}

// carryOutShares sends each server its share, all at once, and returns what lies elsewhere by now.
func (s *Store) carryOutShares(ctx context.Context, op string, shares []share) (moved []*redis.IntCmd, err error) {
	errs := make([]error, len(shares))
	var wg sync.WaitGroup
	for i, sh := range shares {
		wg.Go(func() { errs[i] = s.carryOutShare(ctx, op, sh) })
	}
	wg.Wait()
	for _, sh := range shares {
		for _, cmd := range sh.cmds {
			if addr, _ := elsewhere(cmd.Err()); addr != "" {
				moved = append(moved, cmd)
			}
		}
	}
	return moved, worst(errs...)
}

// carryOutShare is the way of one server. That a key lies elsewhere is left in its command.
func (s *Store) carryOutShare(ctx context.Context, op string, sh share) error {
	sent := false
	unproven := s.confirmBy(ctx, op, func(p *proof) error {
		cmds := sh.cmds
		if sent { // what counts are the results of the first time
			cmds = again(ctx, cmds)
		}
		sent = true
		err := send(ctx, p.through(sh.node), append(sh.commands(ctx, cmds), p.cmd)...)
		if Refusal(err) != "" {
			return nil // each command has its own
		}
		return err
	})
	if failed(unproven) {
		return unproven
	}
	for _, cmd := range sh.cmds {
		if addr, _ := elsewhere(cmd.Err()); cmd.Err() != nil && addr == "" {
			return unavailable(op, cmd.Err())
		}
	}
	return unproven
}

// share finds the server of each command's key.
func (s *Store) share(ctx context.Context, cmds []*redis.IntCmd) (shares []share, err error) {
	switch rdb := s.rdb.(type) {
	case *redis.Client:
		return []share{{node: rdb, cmds: cmds}}, nil
	case *redis.ClusterClient:
		for _, cmd := range cmds {
			node, err := rdb.MasterForKey(ctx, fmt.Sprint(cmd.Args()[1]))
			if err != nil {
				return nil, err
			}
			shares = deal(shares, node, false, cmd)
		}
		return shares, nil
	}
	return nil, fmt.Errorf("unexpected client %T", s.rdb)
}

// follow finds the servers to which a cluster has sent the commands on. Whether that is where the others lie by now, they
// need not know yet.
func (s *Store) follow(ctx context.Context, moved []*redis.IntCmd) (shares []share, err error) {
	var mu sync.Mutex
	masters := map[string]*redis.Client{}
	if err := s.eachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters[node.Options().Addr] = node
		return nil
	}); err != nil {
		return nil, err
	}
	for _, cmd := range moved {
		addr, asking := elsewhere(cmd.Err())
		if masters[addr] == nil {
			return nil, cmd.Err()
		}
		shares = deal(shares, masters[addr], asking, cmd)
	}
	return shares, nil
}

// deal adds a command to the share of a server.
func deal(shares []share, node *redis.Client, asking bool, cmd *redis.IntCmd) []share {
	for i := range shares {
		if shares[i].node == node && shares[i].asking == asking {
			shares[i].cmds = append(shares[i].cmds, cmd)
			return shares
		}
	}
	return append(shares, share{node, []*redis.IntCmd{cmd}, asking})
}

// commands are cmds as they are sent to this server.
func (sh share) commands(ctx context.Context, cmds []*redis.IntCmd) []redis.Cmder {
	if !sh.asking {
		return asCommands(cmds)
	}
	list := make([]redis.Cmder, 0, 2*len(cmds)+1)
	for _, cmd := range cmds {
		list = append(list, redis.NewStatusCmd(ctx, "asking"), cmd)
	}
	return list
}

// eachMaster calls f for every server that takes writes, all at once, and returns one of the errors.
func (s *Store) eachMaster(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	switch rdb := s.rdb.(type) {
	case *redis.Client:
		return f(ctx, rdb)
	case *redis.ClusterClient:
		return rdb.ForEachMaster(ctx, f)
	}
	return fmt.Errorf("unexpected client %T", s.rdb)
}

// elsewhere is the address of the node that has the key, and whether it has to be asked for it as of a slot that is on
// its way. Empty: it is here.
func elsewhere(err error) (addr string, asking bool) {
	if addr, moved := redis.IsMovedError(err); moved {
		return addr, false
	}
	return redis.IsAskError(err)
}

// pipeliner is a client, or one connection.
type pipeliner interface {
	Pipelined(ctx context.Context, fn func(redis.Pipeliner) error) ([]redis.Cmder, error)
}

// send has commands answered on one connection.
func send(ctx context.Context, c pipeliner, cmds ...redis.Cmder) error {
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, cmd := range cmds {
			_ = p.Process(ctx, cmd)
		}
		return nil
	})
	return err
}

func asCommands(cmds []*redis.IntCmd) []redis.Cmder {
	list := make([]redis.Cmder, len(cmds), len(cmds)+1)
	for i, cmd := range cmds {
		list[i] = cmd
	}
	return list
}

// again are the same commands, not sent yet.
func again(ctx context.Context, cmds []*redis.IntCmd) []*redis.IntCmd {
	list := make([]*redis.IntCmd, len(cmds))
	for i, cmd := range cmds {
		list[i] = redis.NewIntCmd(ctx, cmd.Args()...)
	}
	return list
}

// worst is the one of several errors that says least: that something failed, before that it is unconfirmed.
func worst(errs ...error) error {
	var unconfirmed error
	for _, err := range errs {
		switch {
		case failed(err):
			return err
		case err != nil:
			unconfirmed = err
		}
	}
	return unconfirmed
}
