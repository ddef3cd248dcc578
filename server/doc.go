// Package server is Mintkeep as a whole over HTTP: the routes, in routes.go, and what surrounds them: access to /admin,
// health, TLS and the orderly shutdown.
package server
