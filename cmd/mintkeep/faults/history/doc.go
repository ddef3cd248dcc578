// Package history checks the answers of servers about credentials during a fault.
//
// Concurrent workers record each call when it is over: when it began, when it ended, what was answered. From this alone,
// [Log.Verify] finds the violations of what Mintkeep promises for each credential:
//
//	StillActive   after an acknowledged revocation, every check that begins later says inactive
//	              (one that is answered from memory: that begins more than its lease later)
//	ActiveAgain   after a check that said inactive, every later one does, unless the group was disabled and enabled,
//	              or Redis has lost an unacknowledged revocation
//	Unissued      a credential that was never issued is never active
//	WronglyDenied an active credential is not rejected; 503 is no rejection
//	Duplicate     no two credentials are equal
//	Twice         what may happen once happened once
//
// Two calls that overlap may have happened in either order, and a call without an answer, or with a 503, may have been
// applied at any time since it began, or never: it allows both answers. What such a call enabled does not outlive a
// revocation that began after its 503 and was acknowledged.
package history
