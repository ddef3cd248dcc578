// Package doctor looks at the configuration of a server and at its Redis, before the server runs or while it does,
// and says of each thing whether it is as it should be, what was found, and what to do about it.
//
//	settings      what the configuration is warned of, the issuer, the admin token
//	tls           the server's own certificate: its dates, its names, its chain
//	redis         whether it answers and how fast; nothing below is looked at when it does not
//	its ways      mode, version, persistence, eviction, memory, replication, cluster, Sentinels, rights, clock, TLS
//	what is kept  signing keys, what the master key opens, records that cannot be read
//
// Facts come from [store.Store.Diagnose] and its like, checks are made of facts by functions that ask nobody, and
// [Examine] puts the two together. Nothing is changed, no signing key is made, and no secret is in a check.
//
// A check fails when the service does not work, or will lose what it must keep; it warns of what will do so later or
// only under some condition. What could not be found out is unknown, which is no failure: a managed Redis may not answer
// everything.
package doctor
