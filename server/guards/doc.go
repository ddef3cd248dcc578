// Package guards lists and probes the guards: the instances of services that keep answers of introspection, and poll the
// feed to learn what was revoked. An instance has the name that it gives itself, and belongs to the client as which it polls.
//
//	[Registry.Asked]   a poll has arrived: the guard has read everything before its cursor
//	[Registry.Heard]   a poll was answered
//	[Registry.Run]     writes what this replica has heard, every 10 s, for the other replicas
//	[Registry.List]    the guards heard of within the last minute, or within their lease, at any replica
//	[Registry.Probe]   appends an entry to the feed that voids nothing, and
//	[Registry.Passed]  tells which guards have read it since, and which are silent
//
// Polls cost no Redis command. A guard has passed a probe when it polls with a cursor at or behind its entry: it got the
// answer that carried the entry, and before it every void of a revocation that was acknowledged before the probe.
package guards
