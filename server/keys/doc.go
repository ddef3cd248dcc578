// Package keys is what may be done to API keys, the same by their owner through another key, by their owner in the
// dashboard, and by an operator. It creates, changes, disables, rotates and revokes them, together with the audit log, in
// the order that package audit describes, and shows them.
//
// A key that creates or rotates another cannot raise itself: the new one has at most its own scopes, expiry and rate
// limit, and none of Mintkeep's own scopes. It cannot enable a key with more scopes, nor give one, itself included, a
// higher rate limit. A user who signed in, or the admin token, may give all that the owner may have.
package keys
