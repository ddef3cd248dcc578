package redisdb

// Waiting is how many calls wait for a batch.
func (db *DB) Waiting() int {
	db.batch.mu.Lock()
	defer db.batch.mu.Unlock()
	return len(db.batch.waiting)
}

// Idle is whether no call waits or is under way.
func (db *DB) Idle() bool {
	db.batch.mu.Lock()
	defer db.batch.mu.Unlock()
	return len(db.batch.waiting) == 0 && db.batch.inFlight == 0
}

// The bounds of a batcher.
const (
	MaxInFlight = maxInFlight
	MaxWaiting  = maxWaiting
	MaxBatch    = maxBatch
)

// The bounds of the groups.
const (
	MaxRounds                = maxRounds
	MaxUnauthenticatedRounds = maxUnauthenticatedRounds
)

// WaitingForRound is how many calls wait for a round, of all groups.
func (db *DB) WaitingForRound() (n int) {
	db.groups.mu.Lock()
	defer db.groups.mu.Unlock()
	for _, g := range db.groups.all {
		g.mu.Lock()
		n += len(g.waiting)
		g.mu.Unlock()
	}
	return n
}
