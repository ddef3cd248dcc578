package remotekeys

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	leastKept   = 5 * time.Minute
	mostKept    = 24 * time.Hour
	keptUnnamed = time.Hour // an answer that does not say how long it is fresh
)

// lifetime is how long an answer is kept from now on: for its max-age less its age (RFC 9111 §4.2), within bounds. What
// forbids or limits caching in another way, or cannot be read, is kept for the shortest time.
func lifetime(h http.Header) time.Duration {
	kept, named := time.Duration(0), false
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "no-store", "no-cache":
			return leastKept
		case "max-age":
			if !named { // of several the first counts (RFC 9111 §4.2.1)
				kept, named = seconds(value), true
			}
		}
	}
	if !named {
		return keptUnnamed
	}
	return min(max(kept-age(h), leastKept), mostKept)
}

// age is how old the answer was when it was sent: a cache in between may have kept it (RFC 9111 §5.1).
func age(h http.Header) time.Duration { return seconds(h.Get("Age")) }

// seconds reads delta-seconds (RFC 9111 §1.2.2). What is no such number is 0, and what is too large a long time.
func seconds(s string) time.Duration {
	s = strings.Trim(strings.TrimSpace(s), `"`)
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		n = 1<<31 - 1
	}
	return time.Duration(n) * time.Second
}
