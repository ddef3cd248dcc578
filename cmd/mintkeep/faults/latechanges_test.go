package faults

import (
	"net/http"
	"slices"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// changes are each held by their transaction, and by the first write of the record, whatever that is.
func changes(name string, on func(match func(string) storetest.Match) func(*lateWrite) storetest.Match, kind lateKind) []lateKind {
	whole, begun := kind, kind
	whole.name, whole.match = name, on(transactionOn)
	begun.name, begun.match, begun.longest = name+"-begun", on(firstOn), false
	return []lateKind{whole, begun}
}

var lateChanges = slices.Concat(
	changes("client-enabled", onClient, lateKind{
		longest: true,
		prepare: func(w *lateWrite) {
			w.revokeAdmin(w.clientGroup(), http.MethodPatch, w.clientPath(), `{"disabled":true}`)
		},
		do: func(w *lateWrite) {
			w.lateAdmin(history.Enable, w.clientGroup(), http.MethodPatch, w.clientPath(), `{"disabled":false}`)
		},
		revoke: func(w *lateWrite) {
			w.revokeAdmin(w.clientGroup(), http.MethodPatch, w.clientPath(), `{"disabled":true}`)
		},
	}),
	changes("scope-added", onClient, lateKind{
		do: func(w *lateWrite) {
			w.right("scope write of "+w.client, w.scopeSubject())
			w.lateAdmin(history.Enable, "", http.MethodPatch, w.clientPath(), `{"scope":"read write"}`)
		},
		revoke: func(w *lateWrite) {
			w.log.Add(history.Event{Op: history.Revoke, On: w.tokenGroup(), Answer: history.Unknown, Start: w.log.Now(), End: w.log.Now() + 1})
			w.revokeAdmin("scope write of "+w.client, http.MethodPatch, w.clientPath(), `{"scope":"read"}`)
		},
	}),
	changes("secret-rotated", onClient, lateKind{
		do: (*lateWrite).rotate,
		revoke: func(w *lateWrite) {
			a := w.revokeAdmin(w.secretName(), http.MethodPost, w.clientPath()+"/secrets", `{"overlap":"0s"}`)
			w.rotated(a, history.Event{Worker: w.number, Op: history.Issue, Answer: history.Done, Start: w.log.Now(), End: w.log.Now()})
		},
	}),
	changes("client-key-added", onClient, lateKind{do: (*lateWrite).addClientKey, revoke: (*lateWrite).removeClientKey}),
	changes("client-renamed", onClient, lateKind{
		do: func(w *lateWrite) {
			w.lateAdmin(history.Enable, "", http.MethodPatch, w.clientPath(), `{"client_name":"renamed"}`)
		},
		revoke: func(w *lateWrite) { w.revokeAdmin(w.clientGroup(), http.MethodDelete, w.clientPath(), "") },
	}),
	changes("generation-drawn", onClient, lateKind{
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.tokenGroup(), http.MethodPost, w.clientPath()+"/revoke-tokens", "")
		},
		revoke: func(w *lateWrite) {
			w.revokeAdmin(w.tokenGroup(), http.MethodPost, w.clientPath()+"/revoke-tokens", "")
		},
	}),
	keyChanges,
	changes("user-enabled", onUser, lateKind{
		prepare: func(w *lateWrite) { w.revokeAdmin(w.userGroup(), http.MethodPatch, w.userPath(), `{"disabled":true}`) },
		do: func(w *lateWrite) {
			w.lateAdmin(history.Enable, w.userGroup(), http.MethodPatch, w.userPath(), `{"disabled":false}`)
		},
		revoke: func(w *lateWrite) { w.revokeAdmin(w.userGroup(), http.MethodPatch, w.userPath(), `{"disabled":true}`) },
	}),
	changes("user-promoted", onUser, lateKind{
		do: func(w *lateWrite) {
			w.right("role of "+w.user, w.roleSubject())
			w.lateAdmin(history.Enable, "", http.MethodPatch, w.userPath(), `{"role":"operator"}`)
		},
		revoke: func(w *lateWrite) {
			w.revokeAdmin("role of "+w.user, http.MethodPatch, w.userPath(), `{"role":"developer"}`)
		},
	}),
	changes("user-renamed", onUser, lateKind{
		do: func(w *lateWrite) {
			w.lateAdmin(history.Enable, "", http.MethodPatch, w.userPath(), `{"name":"renamed"}`)
		},
		revoke: func(w *lateWrite) { w.revokeAdmin(w.userGroup(), http.MethodDelete, w.userPath(), "") },
	}),
	changes("user-invited", onUser, lateKind{
		do: func(w *lateWrite) {
			w.lateAdmin(history.Enable, "", http.MethodPost, w.userPath()+"/invite", "")
		},
		revoke: func(w *lateWrite) { w.revokeAdmin(w.userGroup(), http.MethodPatch, w.userPath(), `{"disabled":true}`) },
	}),
)

// keyChanges are of an API key, whose first write is the transaction.
var keyChanges = []lateKind{
	{
		name: "key-enabled", longest: true,
		prepare: (*lateWrite).disableItsKey,
		match:   onKey(transactionOn),
		do:      (*lateWrite).enableItsKey,
		revoke:  (*lateWrite).disableItsKey,
	},
	{
		name:    "key-enabled-and-revoked",
		prepare: (*lateWrite).disableItsKey,
		match:   onKey(transactionOn),
		do:      (*lateWrite).enableItsKey,
		revoke:  (*lateWrite).revokeItsKey,
	},
	{
		name: "key-renamed", match: onKey(transactionOn),
		do: func(w *lateWrite) {
			w.lateAdmin(history.Enable, "", http.MethodPatch, "/admin/keys/"+w.key.id, `{"name":"renamed"}`)
		},
		revoke: (*lateWrite).disableItsKey,
	},
}
