// Package clients is what operators do to clients, the same by JSON and on a page: register, change, rotate, disable,
// delete. It reads the request, says what is wrong with it, and does it together with the audit log.
//
// What a client's metadata may be is one table, members, which registration and patch both read.
package clients
