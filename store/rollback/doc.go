// Package rollback notices that Redis lost acknowledged writes, and replays revocations. Redis may come back with less
// than it had: from a failover, from an old backup, or empty. Then a credential that was revoked could be valid again.
//
//	[Monitor]    observes Redis, and owns the components below
//	heartbeat    once a second: checks, sends again what is pending, advances the counter, writes the watermark
//	redo log     the deletions of this replica of the last 15 minutes; replayed after a rollback
//	breaker      keeps requests from a Redis that must not be trusted: [State]
//	in doubt     transactions whose answer was lost, until it is known whether they were applied
//	[Use]        a record of what may be used once: its loss cannot be replayed, and is a point in time, [Monitor.Loss]
//
// docs/consistency.md has the terms, the state diagram of the breaker, the invariants, and one failover step by step.
//
// The package knows three kinds of keys of Redis: the epoch key, of which a cluster has sixteen, beside each a key that
// says that a replica is there, and the fence. A part is
// a sixteenth of the slots of a cluster; a single server has one part. What the package deletes and why, the caller
// says: a [Deletion] has the key, the fields and the condition, and the payload of an [Entry] is the caller's own.
package rollback
