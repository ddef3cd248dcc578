// Package deploy tests the recipes of docs/deploy as an operator uses them: it runs each program of compose.yaml and of the
// systemd units with the command, the settings and the files that stand there, without a container engine and without systemd.
// Only addresses and paths are replaced.
//
// The chart and the releases need modules that nothing else here does. They have a module of their own, docs/deploy/helm/test, and
// .ci/release.
package deploy
