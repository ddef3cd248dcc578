// Package server is Mintkeep as a whole over HTTP: the routes, on one screen in routes.go, and what
// surrounds them: who is let in to /admin, health, TLS, and the orderly end.
package server
