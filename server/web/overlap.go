package web

import "time"

const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 720 * time.Hour
)

// ReadOverlap reads for how long the old credential stays valid after a rotation: the member overlap, from 0s to 720h,
// 24 hours if it is omitted.
func ReadOverlap(o Object) (time.Duration, error) {
	if !o.Has("overlap") {
		return defaultOverlap, nil
	}
	text, err := Decode[string](o["overlap"], "a string such as 24h")
	if err != nil {
		return 0, InvalidRequest("overlap: %v", err)
	}
	overlap, err := time.ParseDuration(text)
	if err != nil || overlap < 0 || overlap > maxOverlap {
		return 0, InvalidRequest("overlap: must be a duration from 0s to 720h, such as 90s or 24h")
	}
	return overlap, nil
}
