// Package clients is what operators do to clients, the same by JSON and on a page: register, change, rotate a secret,
// disable, delete. It reads what is asked for, says what is wrong with it, and does it together with the audit log,
// in the order that package audit describes.
//
// What a client's metadata may have is one table, [Members], which registration, patch and the dashboard's forms read.
// The names of client authentication methods and grants are given to it: see [Offers].
//
// A client authenticates with secrets, with keys, or with both while it moves from one to the other. Its keys are members
// of its metadata, a set or the URL of one; what they ask of other members is checked for the whole registration. A client
// that has a key is given no secret that was not asked for. Removing a key stops new tokens, and revokes none.
package clients
