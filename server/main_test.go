package server_test

import (
	"flag"
	"os"
	"testing"
)

// More parallel tests run at a time than there are processors, unless -parallel says otherwise: each mostly waits, for a Redis of
// its own, for the one that they share, or for a timeout.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8")
	os.Exit(m.Run())
}
