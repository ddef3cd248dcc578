package store_test

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
)

// More parallel tests run at a time than there are processors, unless -parallel says otherwise: each has a Redis of its own,
// and mostly waits for it or for a timeout.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // for time, not for memory
	_ = flag.Set("test.parallel", "12")
	os.Exit(m.Run())
}
