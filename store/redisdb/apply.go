package redisdb

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Apply sends writes, once, and returns when they hold as [Options.Durability] asks. Unless it
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
	return MostSevere(err, db.ApplyBehind(ctx, op, behind...))
}

// ApplyBehind sends commands behind a transaction that was applied, in a cluster, where they may lie on other servers.
// Their answers are in themselves.
func (db *DB) ApplyBehind(ctx context.Context, op string, behind ...redis.Cmder) error {
	return behindError(op, db.apply(ctx, op, behind, nil))
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
	if !db.NeedsBarrier(ctx) {
		err := send(ctx, db.Client, append(cmds[:len(cmds):len(cmds)], behind...)...)
		if len(behind) > 0 {
			err = firstError(cmds)
		}
		return Unavailable(op, err)
	}
	pipelines, err := db.pipelinesOf(ctx, cmds)
	if err != nil {
		return Unavailable(op, err)
	}
	moved, err := db.applyPipelines(ctx, op, pipelines, behind)
	if len(moved) == 0 || Failed(err) {
		return err
	}
	pipelines, unknown := db.redirect(ctx, moved)
	if unknown != nil {
		return Unavailable(op, unknown)
	}
	still, again := db.applyPipelines(ctx, op, pipelines, nil)
	if len(still) > 0 {
		return Unavailable(op, still[0].Err())
	}
	return MostSevere(err, again)
}

// nodePipeline is what is sent to one server on one connection, with a barrier behind it.
type nodePipeline struct {
	node *redis.Client
	cmds []redis.Cmder
	// asking: the slots are on their way to this server, which takes what follows ASKING.
	asking bool
}

// applyPipelines sends each server its pipeline, all at once, and returns the commands that a cluster redirects.
func (db *DB) applyPipelines(ctx context.Context, op string, pipelines []nodePipeline, behind []redis.Cmder) (moved []redis.Cmder, err error) {
	errs := make([]error, len(pipelines))
	var wg sync.WaitGroup
	for i, np := range pipelines {
		wg.Go(func() { errs[i] = db.applyPipeline(ctx, op, np, behind) })
	}
	wg.Wait()
	for _, np := range pipelines {
		for _, cmd := range np.cmds {
			if addr, _ := redirection(cmd.Err()); addr != "" {
				moved = append(moved, cmd)
			}
		}
	}
	return moved, MostSevere(errs...)
}

// applyPipeline sends one server its pipeline. A redirection is left in its command.
func (db *DB) applyPipeline(ctx context.Context, op string, np nodePipeline, behind []redis.Cmder) error {
	b, sent := db.groupOf(ctx, np.node).confirm(ctx, np.node, append(np.commands(ctx), behind...)...)
	judged := db.judge(op, b, sent)
	if Failed(judged) {
		return judged
	}
	for _, cmd := range np.cmds {
		if addr, _ := redirection(cmd.Err()); cmd.Err() != nil && addr == "" {
			return Unavailable(op, cmd.Err())
		}
	}
	return judged
}

// pipelinesOf finds the server of each command's key.
func (db *DB) pipelinesOf(ctx context.Context, cmds []redis.Cmder) (pipelines []nodePipeline, err error) {
	nodes, ok := db.Client.(*redis.ClusterClient)
	if !ok {
		return []nodePipeline{{node: db.Client.(*redis.Client), cmds: cmds}}, nil
	}
	for _, cmd := range cmds {
		node, err := nodes.MasterForKey(ctx, fmt.Sprint(cmd.Args()[1]))
		if err != nil {
			return nil, err
		}
		pipelines = addToPipeline(pipelines, node, false, cmd)
	}
	return pipelines, nil
}

// redirect finds the servers to which a cluster has redirected the commands. The client's map of the slots may not have
// the move yet, so that the address is looked up among the primaries.
func (db *DB) redirect(ctx context.Context, moved []redis.Cmder) (pipelines []nodePipeline, err error) {
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
		pipelines = addToPipeline(pipelines, primaries[addr], asking, cmd)
	}
	return pipelines, nil
}

func addToPipeline(pipelines []nodePipeline, node *redis.Client, asking bool, cmd redis.Cmder) []nodePipeline {
	for i := range pipelines {
		if pipelines[i].node == node && pipelines[i].asking == asking {
			pipelines[i].cmds = append(pipelines[i].cmds, cmd)
			return pipelines
		}
	}
	return append(pipelines, nodePipeline{node, []redis.Cmder{cmd}, asking})
}

// commands are those of the pipeline as they are sent to its server.
func (np nodePipeline) commands(ctx context.Context) []redis.Cmder {
	list := make([]redis.Cmder, 0, 2*len(np.cmds)+1)
	for _, cmd := range np.cmds {
		if np.asking {
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
