package store

import (
	"context"
	"time"

	"github.com/mintkeep/mintkeep/config"
)

// Rate is how often something may be done; see [config.Rate].
type Rate = config.Rate

// ParseRate reads a rate as it is written: "20/s", "600/m", "5000/h".
func ParseRate(text string) (Rate, error) { return config.ParseRate(text) }

// CountCall counts a call of the client, a use of the API key, or the creation of a key by the user, against the rate, in
// all replicas together, and says whether that was one too many, and then for how long. ErrUnavailable if it cannot be counted: then the call must not be
// answered either, for a limit that is off while Redis is slow is off when it is needed.
//
// A window of another length is another counter, so that a rate by the second that replaces one by the hour
// holds at once.
func (s *Store) CountCall(ctx context.Context, id string, rate Rate) (over bool, retryAfter time.Duration, err error) {
	l := callLimit(id, rate)
	if s.Embedded() {
		over, retryAfter = s.calls.count(s.now(), []limit{l})
		return over, retryAfter, nil
	}
	return s.countShared(ctx, l, 1)
}

// UncountCall takes back what CountCall has counted.
func (s *Store) UncountCall(ctx context.Context, id string, rate Rate) {
	l := callLimit(id, rate)
	if s.Embedded() {
		s.calls.uncount(s.now(), []limit{l})
		return
	}
	if _, _, err := s.countShared(ctx, l, -1); err != nil {
		s.log.WarnContext(ctx, "a call is still counted against the rate limit", "id", id, "error", err)
	}
}

func callLimit(id string, rate Rate) limit {
	return limit{"mk:r:" + rate.Unit() + ":" + id, rate.Count, rate.Window}
}
