package store

import (
	"context"
	"net/netip"
	"time"
)

// The limits on failed authentications, in a window of a minute that the first failure opens. Only
// failures are counted, so that a correct secret costs nothing here and is always honoured.
const (
	failureWindow      = time.Minute
	failuresPerPair    = 10  // of one client from one address
	failuresPerAddress = 300 // from one address
)

// CountFailure counts a failed authentication of client from address, and says whether that was one too
// many, and then for how long. A client of no name, which is what a bearer credential shows that is not
// known, counts for its address alone. The counters are shared by all replicas; while the store does not
// answer, each counts for itself.
func (s *Store) CountFailure(ctx context.Context, client string, address netip.Addr) (over bool, retryAfter time.Duration) {
	limits := failureLimits(client, address)
	if s.embedded {
		return s.failures.count(s.now(), limits)
	}
	over, retryAfter, err := s.countShared(ctx, limits)
	if err != nil {
		s.log.WarnContext(ctx, "failed authentications are counted by this replica alone", "error", err)
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
