// Package ginguard protects the routes of a gin service with a guard. It is a module of its own, so that a service without gin
// does not get it.
//
//	orders := r.Group("/orders", ginguard.Require(g, "read"))
//	orders.GET("", list)
//	orders.DELETE("/:id", ginguard.Require(g, "write", guard.Strict), remove)
package ginguard
