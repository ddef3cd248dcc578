package guard

import (
	"sync"
	"time"
)

// streams are the questions of the streams that [Guard.Watch] watches. There is one about each credential, however many streams have
// it, and all that wait are asked together.
type streams struct {
	mu   sync.Mutex
	next map[watchedCredential]*confirmation // that were not sent yet
	busy bool                                // a goroutine sends them
}

// watchedCredential is a credential as a stream knows it.
type watchedCredential struct {
	digest digest
	state  state
}

// confirmation is the question whether a credential is active and as it was.
type confirmation struct {
	of   *verdict
	done chan struct{}

	// When done is closed:
	sent instant
	kept *verdict // as of that moment; nil: it is not active, or another
	err  error
}

// answered is closed with the answer. Without a question it never is.
func (c *confirmation) answered() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.done
}

// confirmSoon has a verdict confirmed: at once, or with the others [watchTime] after the last request.
func (g *Guard) confirmSoon(v *verdict) *confirmation {
	s := &g.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	about := watchedCredential{v.digest, v.state}
	c := s.next[about]
	if c == nil {
		c = &confirmation{of: v, done: make(chan struct{})}
		if s.next == nil {
			s.next = map[watchedCredential]*confirmation{}
		}
		s.next[about] = c
	}
	if !s.busy {
		s.busy = true
		go g.confirmStreams()
	}
	return c
}

// take are the questions to send now. None: nothing sends them any more.
func (s *streams) take() map[watchedCredential]*confirmation {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.next
	s.next, s.busy = nil, len(all) > 0
	return all
}

// confirmStreams sends the questions until there are no more.
func (g *Guard) confirmStreams() {
	for all := g.streams.take(); len(all) > 0; all = g.streams.take() {
		next := time.NewTimer(watchTime)
		verdicts := make([]*verdict, 0, len(all))
		for _, c := range all {
			verdicts = append(verdicts, c.of)
		}
		for _, part := range batches(verdicts) {
			sent := g.clock()
			kept, err := g.confirm(g.life, part)
			for _, v := range part {
				c := all[watchedCredential{v.digest, v.state}]
				c.sent, c.kept, c.err = sent, kept[v], err
				close(c.done)
			}
		}
		select {
		case <-next.C:
		case <-g.life.Done():
			next.Stop()
		}
	}
}
