package main

import (
	"fmt"
	"regexp"
	"runtime/debug"
)

// version is set by the release build: -ldflags "-X main.version=1.2.3".
var version string

// versionCommand prints what this binary is.
type versionCommand struct{}

// Run prints three lines.
func (versionCommand) Run(p process) error {
	commit, goVersion := "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		commit, goVersion = commitOf(info), info.GoVersion
	}
	_, err := fmt.Fprintf(p.stdout, "mintkeep %s\ncommit   %s\ngo       %s\n", buildVersion(), commit, goVersion)
	return err
}

// buildVersion is the release, else what the Go tool stamped.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return info.Main.Version
}

// pseudoVersion is the end of a version that go install gives to a commit without a tag (go.dev/ref/mod#pseudo-versions).
var pseudoVersion = regexp.MustCompile(`[.-][0-9]{14}-([0-9a-f]{12})$`)

// commitOf is the commit that the binary was built from. A build from a checkout has it. go install names a version and the
// checksum of the sources instead, by which go.sum and the checksum database know the commit.
func commitOf(info *debug.BuildInfo) string {
	commit, dirty := "unknown", ""
	if rev := pseudoVersion.FindStringSubmatch(info.Main.Version); rev != nil {
		commit = rev[1]
	} else if info.Main.Sum != "" {
		commit = fmt.Sprintf("tag %s (%s)", info.Main.Version, info.Main.Sum)
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " (modified)"
		}
	}
	return commit + dirty
}
