// Package registry is what operators do to clients and people, the same whether they do it by JSON or on a page:
// register, change, rotate, disable, delete, invite. It reads what they ask for, says what is wrong with it, and
// does it together with the audit trail, in the order that the trail asks for: a change is recorded first, or not
// made; an end is made first, and holds whether or not it could be recorded.
//
// What a client's metadata may be is one table, members, which registration and patch both read; what may be said
// of a person is another, personMembers.
package registry
