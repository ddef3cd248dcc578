package guard

import (
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// Two guards of one process are two in the operator's list.
func TestInstancesOfOneProcess(t *testing.T) {
	t.Parallel()
	one, other := instanceName(), instanceName()
	if host, err := os.Hostname(); err != nil || !strings.HasPrefix(one, host+"/") {
		t.Errorf("the name of an instance on %q is %q", host, one)
	}
	if one == other || len(one) > 128 {
		t.Errorf("two guards of one process are %q and %q", one, other)
	}
}

// The operator's list has the version of the guard's module, whichever program it is in.
func TestVersion(t *testing.T) {
	t.Parallel()
	own := func(version string) *debug.Module { return &debug.Module{Path: modulePath, Version: version} }
	other := debug.Module{Path: "example.com/orders", Version: "v1.5.0"}
	replaced := own("v0.2.0")
	replaced.Replace = &debug.Module{Path: "../mintkeep"}
	for name, tt := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"a service":           {debug.BuildInfo{Main: other, Deps: []*debug.Module{own("v0.2.0")}}, "0.2.0"},
		"a service, replaced": {debug.BuildInfo{Main: other, Deps: []*debug.Module{replaced}}, "devel"},
		"mintkeep-guard":      {debug.BuildInfo{Main: *own("v0.2.0")}, "0.2.0"},
		"a checkout":          {debug.BuildInfo{Main: *own("(devel)")}, "devel"},
		"without this module": {debug.BuildInfo{Main: other}, "devel"},
	} {
		if got := versionIn(&tt.info); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
