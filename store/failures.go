package store

import (
	"context"
	"net/netip"
	"time"
)

// The limits on failed authentications, in a window of a minute that the first failure opens. Only
// failures are counted, so that a correct secret costs nothing here and is always accepted.
const (
	failureWindow      = time.Minute
	failuresPerPair    = 10  // of one client from one address
	failuresPerAddress = 300 // from one address
)

// CountFailure counts a failed authentication of client from address, and says whether that was one too
// many, and then for how long. Without a client, as with an unknown bearer credential, it counts for its address alone.
// All replicas share the counters; while the store does not answer, each replica counts for itself.
func (s *Store) CountFailure(ctx context.Context, client string, address netip.Addr) (over bool, retryAfter time.Duration) {
	limits := failureLimits(client, address)
	if s.Embedded() {
		return s.failures.count(s.now(), limits)
	}
	over, retryAfter, err := s.countShared(ctx, limits)
	if err != nil {
		s.log.WarnContext(ctx, "counting a failed authentication in the store failed; this replica counts alone", "error", err)
		return s.failures.count(s.now(), limits)
	}
	return over, retryAfter
}

func failureLimits(client string, address netip.Addr) []limit {
	address = address.Unmap() // else the whole of IPv4 would be one /64
	from := address.String()
	if address.Is6() { // a subscriber has a whole /64
		if p, err := address.Prefix(64); err == nil {
			from = p.String()
		}
	}
	limits := []limit{{"mk:f:" + from, failuresPerAddress, failureWindow}}
	if client == "" {
		return limits
	}
	// A digest, because the client's name is the caller's choice.
	pair := DigestOf(client + "\x00" + from)
	return append(limits, limit{"mk:f:" + string(pair[:16]), failuresPerPair, failureWindow})
}
