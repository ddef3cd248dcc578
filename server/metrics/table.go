package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
)

// other is the label value of what is not on a list.
const other = "other"

// table finds the series of a key with one map look-up, no lock and no allocation:
// Prometheus's own vectors hash every label on every call. Series are seldom added and
// often counted, so the map is copied when one is added.
type table[K comparable, S any] struct {
	make  func(K) S
	rest  func() S // created once, when the table is full
	limit int

	current atomic.Pointer[map[K]S]
	mu      sync.Mutex // held while a series is added
}

// newTable returns a table of at most limit series, each created on first use by mk, and
// one more under the key rest for all further keys.
func newTable[K comparable, S any](limit int, rest K, mk func(K) S) *table[K, S] {
	t := &table[K, S]{make: mk, limit: limit}
	t.rest = sync.OnceValue(func() S { return mk(rest) })
	t.current.Store(&map[K]S{})
	return t
}

// series is the series of key k.
func (t *table[K, S]) series(k K) S {
	if s, ok := (*t.current.Load())[k]; ok {
		return s
	}
	return t.add(k)
}

func (t *table[K, S]) add(k K) S {
	if len(*t.current.Load()) >= t.limit {
		return t.rest() // without the lock: a full table must stay cheap
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *t.current.Load()
	if s, ok := old[k]; ok {
		return s
	}
	if len(old) >= t.limit {
		return t.rest()
	}
	next := make(map[K]S, len(old)+1)
	maps.Copy(next, old)
	next[k] = t.make(k)
	t.current.Store(&next)
	return next[k]
}
