package store

import (
	"context"
	"net/netip"
	"time"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// The limits on failed authentications, in a window of a minute that the first failure opens. Only
// failures are counted, so that a correct secret costs nothing here and is always accepted. A password, which takes long to
// verify, is counted before and taken back if it was right.
const (
	failureWindow      = time.Minute
	failuresPerPair    = 10  // of one client from one address
	failuresPerAddress = 300 // from one address
)

// FailureBucket is what a failed authentication guessed at. Each bucket has counters of its own, whatever names the
// callers choose.
type FailureBucket string

// The failure buckets.
const (
	ClientFailures FailureBucket = "client"  // a client's secret
	BearerFailures FailureBucket = "bearer"  // a bearer credential, or an invite
	SignInFailures FailureBucket = "sign-in" // a password; counted by address apart from the others as well
)

// CountFailure counts a failed authentication under a name from address, and says whether that was one too many, and then
// for how long. Without a name, as with an unknown bearer credential, it counts for its address alone. All replicas share
// the counters; while the store does not answer, each replica counts for itself.
//
// What is over the limit of its address is not counted by name: a caller who changes names fills Redis no further.
func (s *Store) CountFailure(ctx context.Context, b FailureBucket, name string, address netip.Addr) (over bool, retryAfter time.Duration) {
	c := s.countLimits(ctx, failureLimits(b, name, address))
	return c.over, c.retryAfter
}

// CountAttempt is CountFailure before it is known whether the authentication fails. uncount takes back what was counted,
// because it did not fail.
func (s *Store) CountAttempt(ctx context.Context, b FailureBucket, name string, address netip.Addr) (over bool, retryAfter time.Duration, uncount func(context.Context)) {
	c := s.countLimits(ctx, failureLimits(b, name, address))
	return c.over, c.retryAfter, func(ctx context.Context) { s.uncount(ctx, c) }
}

// counted is where a failure was counted, and what came of it.
type counted struct {
	shared     []limit // in Redis, or perhaps: the answer was lost
	own        []limit // in this process
	over       bool
	retryAfter time.Duration
}

func (s *Store) countLimits(ctx context.Context, limits []limit) (c counted) {
	if s.Embedded() {
		return s.countOwn(c, limits)
	}
	for i, l := range limits {
		over, retryAfter, err := s.countShared(ctx, l, 1)
		if err == nil || redisdb.IsUncertain(err) {
			c.shared = limits[:i+1]
		}
		if err != nil {
			s.log.WarnContext(ctx, "counting a failed authentication in Redis failed; this replica counts on its own", "error", err)
			return s.countOwn(c, limits)
		}
		if over {
			c.over, c.retryAfter = true, retryAfter
			return c
		}
	}
	return c
}

func (s *Store) countOwn(c counted, limits []limit) counted {
	c.own = limits
	c.over, c.retryAfter = s.failures.count(s.now(), limits)
	return c
}

func (s *Store) uncount(ctx context.Context, c counted) {
	s.failures.uncount(s.now(), c.own)
	for _, l := range c.shared {
		if _, _, err := s.countShared(ctx, l, -1); err != nil {
			s.log.WarnContext(ctx, "an authentication that did not fail is still counted as failed", "error", err)
			return
		}
	}
}

// CountRejection counts a rejection of a caller who is authenticated, and says whether the audit log has enough of them
// for the moment. It guesses nothing, and counts for no address.
func (s *Store) CountRejection(ctx context.Context, principal string) (over bool) {
	name := DigestOf(principal)
	return s.countLimits(ctx, []limit{{"mk:f:rejected:" + string(name[:16]), failuresPerPair, failureWindow}}).over
}

// failureLimits are the limit of the address and, behind it, that of the name.
func failureLimits(b FailureBucket, name string, address netip.Addr) []limit {
	address = address.Unmap() // else the whole of IPv4 would be one /64
	from := address.String()
	if address.Is6() { // a subscriber has a whole /64
		if p, err := address.Prefix(64); err == nil {
			from = p.String()
		}
	}
	prefix := "mk:f:"
	if b != ClientFailures {
		prefix += string(b) + ":"
	}
	byAddress := "mk:f:" + from
	if b == SignInFailures {
		byAddress = prefix + from
	}
	limits := []limit{{byAddress, failuresPerAddress, failureWindow}}
	if name == "" {
		return limits
	}
	// A digest, because the name is the caller's choice.
	pair := DigestOf(name + "\x00" + from)
	return append(limits, limit{prefix + string(pair[:16]), failuresPerPair, failureWindow})
}
