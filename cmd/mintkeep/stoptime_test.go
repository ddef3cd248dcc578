package main

import (
	"testing"
	"time"
)

// The process exits within 15 s of a signal, whatever does not answer: a caller, Redis, the collector of spans, the disk, and who
// reads the log. Half a second is left for what has no limit of its own.
func TestStopTime(t *testing.T) {
	if got, want := stopTime(), 14500*time.Millisecond; got > want {
		t.Errorf("the limits add up to %v, want at most %v", got, want)
	}
}
