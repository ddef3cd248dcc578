package store

import (
	"sync"
	"sync/atomic"
)

// memoised is how many decoded records are kept, at most.
const memoised = 2_000

// memo keeps what records were decoded to, by their very bytes: what is decoded is always what was read just now,
// without the work of decoding it again. It takes no lock to look.
type memo[T any] struct {
	known sync.Map // string → T
	n     atomic.Int64
}

// decode returns what record is decoded to. Nobody must change what the result points at.
func (m *memo[T]) decode(record string) (T, error) {
	if known, ok := m.known.Load(record); ok {
		return known.(T), nil
	}
	var v T
	if err := decodeRecord(record, &v); err != nil {
		return v, err
	}
	if m.n.Add(1) > memoised { // more records than that are in use: begin again
		m.known.Clear()
		m.n.Store(1)
	}
	m.known.Store(record, v)
	return v, nil
}

var (
	clientMetas memo[ClientMetadata]
	userMetas   memo[UserMetadata]
	secretMetas memo[Secret]
)
