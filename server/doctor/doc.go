// Package doctor checks the configuration of a server and its Redis, before the server runs or while it does. For each
// check it says whether all is well, what was found, and how to fix it.
//
//	settings      the warnings of the configuration, the issuer, the admin token
//	tls           the server's own certificate: its dates, its names, its chain
//	redis         whether it answers and how fast; without an answer the checks below are skipped
//	its setup     mode, version, persistence, eviction, memory, replication, cluster, Sentinels, rights, clock, TLS
//	its content   signing keys, what the master key opens, records that cannot be read, clients without an active secret, and
//	              what the audit log says exists
//	key sets      whether those that clients publish can be fetched, and the clocks of their servers
//
// Facts come from [store.Store.Diagnose] and its like. Functions without I/O turn facts into checks, and [Examine] puts the
// two together. Nothing is changed, no signing key is created, and no check contains a secret.
//
// A check fails when the service does not work, or will lose what it must keep. It warns of what will fail later or only
// under some condition. What could not be found out is unknown, which is no failure: a managed Redis may not answer
// everything.
package doctor
