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

// watchTime is how often a watched credential is looked at.
const watchTime = 100 * time.Millisecond

// Watch is for a long stream, such as a WebSocket. The context that it returns is cancelled when the credential of the stream is
// revoked or expires: at most Config.MaxStale and 100 ms after the revocation. If Mintkeep does not answer, it may be 2.5 s more;
// with [Grace], also as long as that says. The cause is [ErrRevoked], [ErrExpired] or [ErrStale]; the last one if Mintkeep cannot be
// asked, or at once with [Closed]. The caller calls stop at the end. A credential that no guard has checked is ErrStale.
func (g *Guard) Watch(ctx context.Context, c *Credential) (watched context.Context, stop context.CancelFunc) {
	watched, cancel := context.WithCancelCause(ctx)
	var v *verdict
	if c != nil {
		v = c.verdict
	}
	go func() {
		tick := time.NewTicker(watchTime)
		defer tick.Stop()
		for {
			var cause error
			if v, cause = g.still(watched, v); cause != nil {
				cancel(cause)
				return
			}
			select {
			case <-tick.C:
			case <-watched.Done():
				return
			}
		}
	}()
	return watched, func() { cancel(context.Canceled) }
}

// still is the verdict by which a stream may go on, or why it may not.
func (g *Guard) still(ctx context.Context, v *verdict) (*verdict, error) {
	now := g.clock()
	state, age := g.state(now)
	mode := g.config.WhenStale
	switch {
	case v == nil, state == Shut, state != Current && mode.closed:
		return nil, ErrStale
	case v.expired(now):
		return nil, ErrExpired
	case state == Current, g.inGrace(age):
		if g.memory.stillHolds(v) {
			return v, nil
		}
	}
	kept, err := g.confirm(ctx, []*verdict{v})
	switch {
	case err != nil:
		return nil, ErrStale
	case len(kept) == 0:
		return nil, ErrRevoked
	}
	return kept[0], nil
}
