package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may be done: Count times in a window of Window, which the first opens. The
// zero value stands for no limit.
type Rate struct {
	Count  int64
	Window time.Duration
}

// maxRate is the largest count that a rate may have.
const maxRate = 1_000_000

var rateWindows = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// ParseRate reads a rate as it is written: "20/s", "600/m", "5000/h". There is one way to write each.
func ParseRate(text string) (Rate, error) {
	count, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseInt(count, 10, 64)
	r := Rate{n, rateWindows[unit]}
	if err != nil || n < 1 || n > maxRate || r.Window == 0 || r.String() != text {
		return Rate{}, errors.New("must be a number from 1 to 1000000 and a window of s, m or h, such as 600/m")
	}
	return r, nil
}

// String writes the rate as ParseRate reads it, and none as nothing.
func (r Rate) String() string {
	if r == (Rate{}) {
		return ""
	}
	return strconv.FormatInt(r.Count, 10) + "/" + r.Unit()
}

// Unit is s, m or h.
func (r Rate) Unit() string {
	for unit, window := range rateWindows {
		if window == r.Window {
			return unit
		}
	}
	return r.Window.String() // which registration rejects
}

// MarshalText is how the rate stands in a record.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads it there. What is no rate makes the record unreadable, and the client is rejected:
// it had a limit, and it is not known which.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}
