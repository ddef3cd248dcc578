// Package users is what operators do to users, the same by JSON and on a page: create, change, invite, disable,
// delete. It reads the request, says what is wrong with it, and does it together with the audit log.
//
// What may be said of a user is one table, personMembers.
package users
