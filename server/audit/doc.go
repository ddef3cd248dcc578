// Package audit is what the audit log says: who ([Actor]) did what ([Action]) to what ([Record]), and in which order.
//
// A change is recorded before it is made: what cannot be recorded is not made ([Log.Change]). A revocation is made
// before it is recorded: a store that takes no more writes must not keep a stolen credential valid ([Log.Revoke]).
// Rejected requests have a stream of their own ([Log.Reject]).
//
// The features make the actor, once for each request. The use cases are given it and say what they do.
package audit
