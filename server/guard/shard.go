package guard

import (
	"sync"
	"time"
)

// shard is a part of the verdicts, at most as many as it has slots. If there are more, the CLOCK algorithm drops one that
// was not used lately.
type shard struct {
	mu    sync.RWMutex
	by    map[handle]*verdict
	slots []*verdict
	free  []int
	hand  int
	most  int
}

func (s *shard) init(most int) { s.by, s.most = map[handle]*verdict{}, most }

func (s *shard) find(d digest) *verdict {
	s.mu.RLock()
	v := s.by[d.handle()]
	s.mu.RUnlock()
	if v == nil || v.digest != d {
		return nil
	}
	if !v.used.Load() {
		v.used.Store(true)
	}
	return v
}

// put adds a verdict, and returns those that had to go.
func (s *shard) put(v *verdict) (gone []*verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := v.digest.handle()
	if old := s.by[h]; old != nil {
		s.remove(old)
		gone = append(gone, old)
	}
	switch {
	case len(s.free) > 0:
		v.slot = int32(s.free[len(s.free)-1])
		s.free = s.free[:len(s.free)-1]
		s.slots[v.slot] = v
	case len(s.slots) < s.most:
		v.slot = int32(len(s.slots))
		s.slots = append(s.slots, v)
	default:
		old := s.oldest()
		v.slot = old.slot
		s.slots[v.slot] = v
		delete(s.by, old.digest.handle())
		gone = append(gone, old)
	}
	s.by[h] = v
	return gone
}

// oldest moves the hand to a verdict that was not used since it passed. All slots are taken.
func (s *shard) oldest() *verdict {
	for {
		v := s.slots[s.hand]
		s.hand = (s.hand + 1) % len(s.slots)
		if !v.used.Swap(false) {
			return v
		}
	}
}

func (s *shard) remove(v *verdict) {
	delete(s.by, v.digest.handle())
	s.slots[v.slot] = nil
	s.free = append(s.free, int(v.slot))
}

// drop removes the verdict about the credential with this handle.
func (s *shard) drop(h handle) *verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.by[h]
	if v != nil {
		s.remove(v)
	}
	return v
}

func (s *shard) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.by)
	s.slots, s.free, s.hand = nil, nil, 0
}

func (s *shard) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.by)
}

// dropOnly removes exactly this verdict, and not a newer one about the same credential.
func (s *shard) dropOnly(v *verdict) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[v.digest.handle()] != v {
		return false
	}
	s.remove(v)
	return true
}

func (s *shard) appendUsed(to []*verdict, most int) []*verdict {
	return s.appendIf(to, most, func(v *verdict) bool { return v.used.Load() })
}

func (s *shard) appendOlder(to []*verdict, mono time.Duration, most int) []*verdict {
	return s.appendIf(to, most, func(v *verdict) bool { return v.sent < mono })
}

func (s *shard) appendIf(to []*verdict, most int, is func(*verdict) bool) []*verdict {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, v := range s.slots {
		if len(to) < most && v != nil && is(v) {
			to = append(to, v)
		}
	}
	return to
}
