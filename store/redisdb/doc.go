// Package redisdb is one Redis of any kind: a single server, a primary behind Sentinels, a cluster, or an embedded one
// that runs in this process. A [DB] dials it, sends commands to it, and says what its answers are worth. It knows
// nothing of what is stored.
//
//	[Open]                 reads the URL and makes the client; whether a server answers, the first command tells
//	[DB.Do]                commands; concurrent callers share one pipeline
//	[DB.Apply]             deletions, with the durability barrier behind them on the same connection
//	[DB.Barrier]           the barrier alone, for writes that were sent before
//	[DB.Settle]            stops what was sent on connections that were given up; [DB.CheckKill] tries whether that works
//	[DB.CheckDurability]   whether this Redis can give what [config.Durability] asks for
//	[DB.Diagnose]          what an operator wants to know of it
//
// # Errors
//
// An answer that is missing, and an answer that Redis begins with an error, is [ErrUnavailable]: it is not known what
// holds. A write that was applied and whose durability is not confirmed is [ErrUnconfirmed], which matches
// ErrUnavailable too. [Failed] tells them apart, [ErrorPrefix] is what Redis said, and [Unsent] marks a command that
// never left this process.
//
// # Writes are sent once
//
// A write whose answer does not come in time is not sent again. Its connection is closed, here and by CLIENT KILL at the
// server, before the caller gets the error: then it was applied, or it never will be. If the server does not answer
// CLIENT KILL either, that is not known yet: the next heartbeat tries again.
//
// # The barrier
//
// Redis's own answer says that a write was applied. [Options.Durability] may ask for more:
//
//	ack          nothing more
//	fsync        CONFIG GET shows appendonly yes and appendfsync always: Redis writes to its disk before it answers
//	replicas:N   WAIT N: so many replicas have everything that this connection sent before
//
// The barrier command travels behind the writes in the same pipeline, so that it costs no round trip. Concurrent callers
// share a pipeline and its barrier. If its answer is less than was asked for, or is missing, the write is not confirmed.
package redisdb
