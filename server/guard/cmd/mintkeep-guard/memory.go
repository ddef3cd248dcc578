package main

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

const (
	// gcPercent is how much garbage there may be, in percent of what is in use. Beside a service, memory counts more than the
	// processor time of collections.
	gcPercent = 50
	// trimEvery is how often memory is given back that is not in use.
	trimEvery = 20 * time.Second
)

// keepSmall keeps the process small until ctx is done: after a burst Go keeps memory for the next one. GOGC in the environment is
// respected.
func keepSmall(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			debug.FreeOSMemory()
		case <-ctx.Done():
			return
		}
	}
}
