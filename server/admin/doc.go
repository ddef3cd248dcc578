// Package admin is the operator's side of Mintkeep in JSON: the routes under /admin for clients, users, API keys, signing
// keys, the audit log and the counts.
//
// A [Handler] is given the operator who asks, by the guard of its route: one without a guard does not compile.
//
// What is done is done by packages clients, users and keys, which the dashboard uses as well. Here it is read from the
// request and shown, in the types of package adminapi.
package admin
