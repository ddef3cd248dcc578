package store_test

import (
	"flag"
	"os"
	"testing"
)

// atOnce is how many parallel tests run at a time, unless -parallel says otherwise: more than there are processors, because
// each has a Redis of its own, and mostly waits for it or for a timeout.
const atOnce = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", atOnce)
	}
	os.Exit(m.Run())
}
