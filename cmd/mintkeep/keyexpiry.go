package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// expiry is when a key is to expire: at a time, after a while, or, as the zero value
// says, never.
type expiry struct {
	at    time.Time
	after time.Duration
}

// day has 24 hours: keys expire by the clock of UTC.
const day = 24 * time.Hour

// maxDays is more than the server accepts, so that it says so, and less than what
// a Duration can hold.
const maxDays = 100_000

// UnmarshalText reads a flag.
func (e *expiry) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "never" {
		*e = expiry{}
		return nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			s = strconv.Itoa(min(n, maxDays)*24) + "h"
		}
	}
	if after, err := time.ParseDuration(s); err == nil {
		if after < time.Second {
			return errors.New("must be in the future")
		}
		*e = expiry{after: after}
		return nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, s); err == nil {
			*e = expiry{at: at}
			return nil
		}
	}
	return errors.New("must be like 90d, 720h, 2027-01-31, 2027-01-31T18:00:00Z or never")
}

// from is the expiry on the wire: a time in RFC 3339, or null for never.
func (e expiry) from(now time.Time) any {
	switch {
	case e.after > 0:
		return now.Add(e.after).UTC().Format(time.RFC3339)
	case !e.at.IsZero():
		return e.at.UTC().Format(time.RFC3339)
	}
	return nil
}
