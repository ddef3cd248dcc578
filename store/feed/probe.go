package feed

import (
	"context"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// ProbeRead is a probe that was read from the feed, and where it is in what this replica keeps.
type ProbeRead struct {
	ID        string
	epoch, at uint64
}

// Probe appends an entry that voids nothing. It answers the waiting polls, so the next poll of each guard shows that it has read
// everything that was appended before.
func (f *Feed) Probe(ctx context.Context, id string) error {
	cmd := f.appendCommand(ctx, probeField, id)
	_ = f.DB.Client.Process(ctx, cmd)
	return redisdb.Unavailable("append a probe", cmd.Err())
}

// OnProbe has tell called with each probe that is read, old ones too: the feed is read from its beginning when this replica
// starts, and after a loss. It must not block.
func (f *Feed) OnProbe(tell func(ProbeRead)) { f.probed.Store(&tell) }

// observeProbe tells of the entry at this position. The caller holds the lock.
func (f *Feed) observeProbe(e entry, at uint64) {
	if tell := f.probed.Load(); tell != nil && e.field == probeField {
		(*tell)(ProbeRead{ID: e.value, epoch: f.ring.epoch, at: at})
	}
}

// HasPassed is whether a guard with this cursor has read everything up to the probe. It is false if that is not certain: if
// the cursor is not valid, or if the feed was lost since the probe was read.
func (f *Feed) HasPassed(cursor string, p ProbeRead) bool {
	c, isCursor := ParseCursor(cursor)
	if !isCursor {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	behind, ok := f.ring.find(c)
	return ok && f.ring.epoch == p.epoch && behind > p.at
}
