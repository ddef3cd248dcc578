// Package clients is what operators do to clients, the same by JSON and on a page: register, change, rotate a secret,
// disable, delete. It reads what is asked for, says what is wrong with it, and does it together with the audit log,
// in the order that package audit describes.
//
// What a client's metadata may be is one table, members, which registration and patch both read.
package clients
