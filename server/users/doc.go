// Package users is what operators do to users, the same by JSON and on a page: create, change, invite, disable,
// delete. It reads what is asked for, says what is wrong with it, and does it together with the audit log, in the order
// that package audit describes.
//
// What a body may have of a user is one table, members.
package users
