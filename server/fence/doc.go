// Package fence makes a restored Redis safe to serve from: mintkeep fence. A backup brings back what was revoked after it
// was made. So every token and every session is revoked, which clients hardly notice, for they fetch new tokens. The
// revocations of what is valid longer, keys, secrets, clients and users, are replayed from the audit log, of which the
// operator has an export that is newer than the backup.
//
//	revoke  every token of every client, every session of every user, whether or not a list has them
//	list    clients and users that were missing in the lists
//	replay  what the log says was revoked and not restored later: [Plan]
//	look    what is left for the operator: changes to repeat, what is lost, who cannot authenticate
//	record  in the log of the store, which is that of the backup, what was deleted since
//	fence   ends the quarantine of the replicas that noticed the rollback: [store.Store.Fence]
//
// It may be repeated. What the log does not say, as what a client could do before a scope was taken away, is left for
// the operator to review.
package fence
