// Package doctor checks the configuration of a server and its Redis, before the server runs or while it does. Each
// check has an outcome, says what was found, and how to fix it.
//
//	settings      the warnings about the configuration, the issuer, the admin token
//	tls           the server's own certificate: its dates, its names, its chain
//	redis         whether it answers and how fast; nothing below is checked when it does not
//	its setup     mode, version, persistence, eviction, memory, replication, cluster, Sentinels, rights, clock, TLS
//	its data      signing keys, what the master key opens, records that cannot be read (the integrity scan)
//
// [store.Store.Diagnose] and its like collect facts, pure functions make checks of them, and [Examine] composes the two.
// Nothing is changed, no signing key is created, and no secret is in a check.
//
// A check fails when the service does not work, or will lose what it must keep; it warns if that will happen later or
// only under some condition. What could not be found out is unknown, which is no failure: a managed Redis may not answer
// everything.
package doctor
