package guard

import (
	"context"
	"errors"
	"time"
)

// The causes of a context of [Guard.Watch], for context.Cause.
var (
	ErrRevoked = errors.New("guard: the credential was revoked or changed")
	ErrExpired = errors.New("guard: the credential has expired")
	ErrStale   = errors.New("guard: it is not known whether the credential is still active")
)

// watchTime is how often a watched credential is looked at, and how long after one request to confirm such credentials the next one is
// sent.
const watchTime = 50 * time.Millisecond

// Watch is for a long stream, such as a WebSocket. The context that it returns is cancelled when the credential of the stream is
// revoked or expires: at most Config.MaxStale and 100 ms after the revocation. If Mintkeep does not answer, it may be 2.5 s more;
// with [Grace], its duration more. The cause is [ErrRevoked], [ErrExpired] or [ErrStale]. ErrStale means that Mintkeep did not answer in
// that time, that the guard is stale with [Closed], that the guard was closed, or that no guard has checked the credential. The caller
// calls stop at the end.
func (g *Guard) Watch(ctx context.Context, c *Credential) (watched context.Context, stop context.CancelFunc) {
	watched, cancel := context.WithCancelCause(ctx)
	s := &stream{g: g, allowed: g.clock()}
	if c != nil {
		s.v = c.verdict
	}
	go func() {
		tick := time.NewTicker(watchTime)
		defer tick.Stop()
		for {
			if cause := s.look(); cause != nil {
				cancel(cause)
				return
			}
			select {
			case <-tick.C:
			case <-s.asked.answered():
			case <-watched.Done():
				return
			}
		}
	}()
	return watched, func() { cancel(context.Canceled) }
}

// stream is what a context of [Guard.Watch] depends on.
type stream struct {
	g       *Guard
	v       *verdict
	allowed instant       // when it might go on without a question last
	asked   *confirmation // that it waits for; nil: none
}

// look is why the stream ends. nil: it goes on, also for as long as one question may take.
func (s *stream) look() error {
	now := s.g.clock()
	state, age := s.g.state(now)
	switch {
	case s.v == nil, state == Shut, state != Current && s.g.config.WhenStale.closed:
		return ErrStale
	case s.v.expired(now):
		return ErrExpired
	case s.holds(now, state == Current || s.g.inGrace(age)):
		s.allowed, s.asked = now, nil
		return nil
	case s.asked == nil:
		s.asked = s.g.confirmSoon(s.v)
	}
	select {
	case <-s.asked.done:
		if cause := s.take(now); cause != nil {
			return cause
		}
	default:
	}
	if now.mono-s.allowed.mono > questionTime { // the wall clock may have been set
		return ErrStale
	}
	return nil
}

// holds is whether the stream may go on by what it knows, or by what the memory has learned of its credential since: it was not voided,
// and the feed says so, or it was confirmed lately.
func (s *stream) holds(now instant, byFeed bool) bool {
	_, agree := s.allowed.age(now) // or the machine was suspended
	lately := func(v *verdict) bool { return byFeed || agree && now.mono-v.sent <= s.g.config.MaxStale }
	if lately(s.v) && s.g.memory.stillHolds(s.v) {
		return true
	}
	newer := s.g.memory.find(s.v.digest, now)
	if newer == nil || newer.state != s.v.state || newer.state == (state{}) || !lately(newer) {
		return false
	}
	s.v = newer
	return true
}

// take takes in the answer. After an error there is another question at the next look, and also if the clocks disagree: the answer may be
// from before a suspension.
func (s *stream) take(now instant) error {
	c := s.asked
	s.asked = nil
	if c.kept == nil {
		if c.err == nil {
			return ErrRevoked
		}
		return nil
	}
	if _, agree := c.sent.age(now); !agree {
		return nil
	}
	s.v, s.allowed = c.kept, c.sent.add(s.g.config.MaxStale)
	if s.allowed.mono > now.mono {
		s.allowed = now
	}
	return nil
}
