// Package feed is the ordered record of what revocations void, for services that keep answers of introspection in memory.
// A void says "forget every answer that has this tie, and ask again". It says nothing about validity, so it may come
// late, twice or needlessly.
//
//	[Feed.Void]     makes the commands that append voids; they travel behind the deletions of a revocation
//	[Feed.Run]      looks: reads what was appended, and proves that it was read from the primary
//	[Feed.Poll]     answers a guard out of memory, and waits until there is something to say
//	[Feed.Probe]    appends an entry that voids nothing, to measure when each guard has passed it
//
// The feed is one stream, mk:feed, of at most some 16,384 entries. Each has a random tag, and one of these fields:
//
//	v   voids: 1 to 256 handles of 16 bytes
//	l   voids that answer no waiting poll: callers without client authentication have caused them
//	a   voids that the heartbeat repeats when it covers the deletions: they answer no waiting poll
//	m   a mark: the replication id of the primary to which it was appended
//	k   that id once more, so that it is known after the mark was trimmed
//	r   a break: everything is void
//	p   a probe: its id
//
// A cursor is the id and the tag of an entry. It is valid while exactly that entry is there, with no mark and no break
// behind it. Otherwise, as after a trim, a failover or a restore, the guard forgets all its answers.
//
// docs/consistency.md proves that no guard answers from memory longer than its lease after a revocation was acknowledged.
package feed
