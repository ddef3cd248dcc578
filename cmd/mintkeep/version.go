package main

import (
	"fmt"
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

func commitOf(info *debug.BuildInfo) string {
	commit, dirty := "unknown", ""
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
