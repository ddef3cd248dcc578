// Package admin is the operator's side of Mintkeep in JSON: the routes under /admin for clients, people, API
// keys, signing keys, the audit trail and the counts.
//
// Every handler is reached through [Admin.Guard], which asks who the caller is before anything else is
// looked at; the handlers have a type of their own, so that one without its guard does not compile.
//
// What is done to clients and people is done by packages clients and users, and what is done to API keys by package keys,
// which the dashboard uses as well: here it is read from the request and shown.
package admin
