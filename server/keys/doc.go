// Package keys is the life of API keys, the same whoever sees to it: their owner by another key or in the
// dashboard, or an operator. It makes, rotates and ends them, with the audit trail that goes with it, and shows
// them.
//
// A key that makes or rotates another cannot raise itself: what it makes has at most its own scopes and expiry,
// and never one of Mintkeep's own scopes. A person, or the admin token, may give whatever the owner may have.
package keys
