// Package admin is the operator's side of Mintkeep: JSON routes under /admin that register clients,
// change and end them, rotate secrets and signing keys, and read the audit trail.
//
// Every handler is reached through [Admin.Guard], which asks who the caller is before anything else is
// looked at; the handlers have a type of their own, so that one without its guard does not compile.
//
// Whatever a handler writes goes through one of two methods, which know the order that the audit trail
// asks for:
//
//	change   audit, then make it: what cannot be recorded is not done
//	end      make it, then audit: what must stop has stopped, recorded or not
//
// What a client's metadata may be is one table, members, which registration and patch both read.
package admin
