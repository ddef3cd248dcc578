// Package fence makes a restored Redis safe to serve from: mintkeep fence. A backup brings back what was ended after it was
// made. So everything that hangs on a token or a session ends, which the clients hardly notice, for they fetch new
// tokens; and the ends of what lives longer, keys, secrets, clients and people, are replayed from the audit trail, of
// which the operator has an export that is newer than the backup.
//
//	end     every token of every client, every session of every person
//	replay  what the trail says has ended and not begun again: [Plan]
//	fence   which lets the replicas that found themselves behind go on: [store.Store.Fence]
//
// It may be repeated. What the trail does not say, as what a client could do before a scope was taken away, is left for
// the operator to look at.
package fence
