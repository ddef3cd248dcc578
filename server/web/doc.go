// Package web is what every route has in common: it turns a handler that returns an error into one
// for gin.
//
// A request: [Adapter.Handle] gives it an id and the caller's address, checks the content type that the
// route declares, reads the body whole (at most [BodyLimit]), waits for admission (server/overload),
// starts the one budget of store time ([Adapter.StoreBudget]) and calls the handler. The handler writes success
// once, or returns an error, which is rendered once, by the one table in error.go. Then the request
// becomes one line in the log, with what the handlers noted ([Note]), and is counted.
//
// Below Adapter.Handle nothing knows of gin: a handler sees net/http, and asks this package for the rest.
package web
