package guard

import (
	"crypto/rand"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	modulePath = "github.com/mintkeep/mintkeep/server/guard"
	maxHost    = 100 // of the name of the instance, which has at most 128 characters
)

// instanceName tells this guard from others in the operator's list. A process may have two, and each container of one host the
// same number of its process. A name that is shared counts as one guard when an operator waits until all know of a revocation.
func instanceName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	host = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, host)
	return host[:min(len(host), maxHost)] + "/" + strconv.Itoa(os.Getpid()) + "-" + strings.ToLower(rand.Text()[:4])
}

// ownVersion is the version of this module in the program, for the operator's list of guards.
func ownVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return versionIn(info)
}

// versionIn is devel if the program was built from a checkout of this module without a tag.
func versionIn(info *debug.BuildInfo) string {
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == modulePath && m.Replace == nil && strings.HasPrefix(m.Version, "v") {
			return m.Version[1:]
		}
	}
	return "devel"
}
