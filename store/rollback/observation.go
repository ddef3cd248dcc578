package rollback

import (
	"context"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// observation is what this replica knows to have been in one epoch key.
type observation struct {
	lineage   string
	counter   int64
	watermark int64 // of this replica
	written   bool  // whether there is a watermark
	uses      int64 // that this replica has recorded
	loss      int64 // that a replica has noticed, in milliseconds; see noLossField
}

// fields are those of an epoch key that make an observation.
func (m *Monitor) fields() []string {
	return []string{lineageField, counterField, m.watermarkField, m.usesField, lossField}
}

// observe reads all epoch keys. Each command has its own error.
func (m *Monitor) observe(ctx context.Context, c redis.Cmdable) []*redis.SliceCmd {
	cmds := make([]*redis.SliceCmd, len(m.keys))
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range m.keys {
			cmds[i] = p.HMGet(ctx, key, m.fields()...)
		}
		return nil
	})
	return cmds
}

func readObservation(cmd *redis.SliceCmd) (o observation, err error) {
	fields, err := cmd.Result()
	if err != nil {
		return o, err
	}
	if len(fields) != 5 {
		return o, redisdb.ErrDamaged
	}
	o.lineage, _ = fields[0].(string)
	if o.counter, _, err = readCounter(fields[1]); err != nil {
		return o, err
	}
	if o.watermark, o.written, err = readCounter(fields[2]); err != nil {
		return o, err
	}
	if o.uses, _, err = readCounter(fields[3]); err != nil {
		return o, err
	}
	o.loss, err = readLoss(fields[4])
	return o, err
}

func readCounter(field any) (n int64, there bool, err error) {
	text, there := field.(string)
	if !there {
		return 0, false, nil
	}
	if n, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, true, redisdb.ErrDamaged
	}
	return n, true, nil
}

// isBefore is whether a Redis that shows o has lost something since seen.
func (o observation) isBefore(seen observation) bool {
	if o.uses < seen.uses {
		return true
	}
	if !seen.written {
		return false
	}
	return o.lineage != seen.lineage || !o.written || o.watermark < seen.watermark
}

// kept is a counter that Redis had when it lost the rest, or a lower one. A watermark that is gone was not there yet,
// or was swept. The counter is taken then, which is too high by the heartbeats of other replicas since the loss. They
// are few.
func (o observation) kept() int64 {
	if o.written {
		return o.watermark
	}
	return o.counter
}

func counters(seen []observation) []int64 {
	all := make([]int64, len(seen))
	for i, o := range seen {
		all[i] = o.counter
	}
	return all
}

// cannotTell is whether a server has no epoch key to show: a Sentinel, or one whose ACL denies it.
func cannotTell(err error) bool {
	return redis.IsPermissionError(err) || strings.HasPrefix(err.Error(), "ERR unknown command")
}
