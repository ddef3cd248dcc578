package main

import (
	"runtime/debug"
	"testing"
)

func TestCommit(t *testing.T) {
	vcs := []debug.BuildSetting{{Key: "vcs.revision", Value: "5bab14b09d0d44e5e4ee8fb0ef6d37ae02a1ce8a"}}
	for name, c := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"a checkout":               {debug.BuildInfo{Settings: vcs}, "5bab14b09d0d44e5e4ee8fb0ef6d37ae02a1ce8a"},
		"a modified checkout":      {debug.BuildInfo{Settings: append(vcs, debug.BuildSetting{Key: "vcs.modified", Value: "true"})}, "5bab14b09d0d44e5e4ee8fb0ef6d37ae02a1ce8a (modified)"},
		"go install, of a tag":     {debug.BuildInfo{Main: debug.Module{Version: "v0.2.0", Sum: "h1:abc="}}, "tag v0.2.0 (h1:abc=)"},
		"go install, of a commit":  {debug.BuildInfo{Main: debug.Module{Version: "v0.2.1-0.20261129134455-5bab14b09d0d", Sum: "h1:abc="}}, "5bab14b09d0d"},
		"go install, of the first": {debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20261129134455-5bab14b09d0d", Sum: "h1:abc="}}, "5bab14b09d0d"},
		"an archive of the source": {debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "unknown"},
	} {
		if got := commitOf(&c.info); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
