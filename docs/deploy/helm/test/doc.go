// Package chart tests the chart in docs/deploy/helm: it lints and renders it as Helm does, for each file of values and each switch, and
// decodes the objects strictly into the types of Kubernetes. It is a module of its own, so that Mintkeep does not require Helm.
// .ci/release runs it.
package chart
