// Package server is Mintkeep as a whole over HTTP: the routes, on one screen in routes.go, and what
// surrounds them: authorization at /admin, health, TLS, and graceful shutdown.
package server
