package faults

import (
	"net/http"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

var lateRevocations = []lateKind{
	{
		name:  "token-revoked",
		match: func(w *lateWrite) storetest.Match { return firstOn(recordOf(w.token)) },
		do: func(w *lateWrite) {
			_, e := w.act(history.Revoke, w.token.name(), "POST /oauth/revoke", func() processtest.Answer {
				return w.late.Revoke(w.authorization(), w.token.value)
			}, http.StatusOK)
			w.log.Add(e)
		},
		revoke: (*lateWrite).revokeItsToken,
	},
	{
		name:  "key-revoked",
		match: func(w *lateWrite) storetest.Match { return firstOn(recordOf(w.key)) },
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.key.name(), http.MethodDelete, "/admin/keys/"+w.key.id, "")
		},
		revoke: (*lateWrite).revokeItsKey,
	},
	{
		name: "key-disabled", match: onKey(transactionOn),
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.key.name(), http.MethodPatch, "/admin/keys/"+w.key.id, `{"disabled":true}`)
		},
		revoke: (*lateWrite).disableItsKey,
	},
	{
		name:    "secret-revoked",
		prepare: func(w *lateWrite) { w.findSecret() },
		match:   onClient(firstOn),
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.secretName(), http.MethodDelete, w.clientPath()+"/secrets/"+w.secretID, "")
		},
		revoke: func(w *lateWrite) {
			w.revokeAdmin(w.secretName(), http.MethodDelete, w.clientPath()+"/secrets/"+w.secretID, "")
		},
	},
	{
		name: "client-key-removed",
		prepare: func(w *lateWrite) {
			w.mustAdmin(http.MethodPatch, w.clientPath(), w.withClientKey())
			w.right(w.clientKeyName(), w.clientKeySubject())
			w.check("registered, ")
		},
		match: onClient(transactionOn),
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.clientKeyName(), http.MethodPatch, w.clientPath(), withoutClientKeys)
		},
		revoke: (*lateWrite).removeClientKey,
	},
	{
		name: "client-disabled", longest: true, match: onClient(firstOn),
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.clientGroup(), http.MethodPatch, w.clientPath(), `{"disabled":true}`)
		},
		revoke: func(w *lateWrite) {
			w.revokeAdmin(w.clientGroup(), http.MethodPatch, w.clientPath(), `{"disabled":true}`)
		},
	},
	{
		name: "tokens-revoked", match: onClient(firstOn),
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.tokenGroup(), http.MethodPost, w.clientPath()+"/revoke-tokens", "")
		},
		revoke: func(w *lateWrite) {
			w.revokeAdmin(w.tokenGroup(), http.MethodPost, w.clientPath()+"/revoke-tokens", "")
		},
	},
	{
		name: "client-deleted", match: onClient(firstOn),
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.clientGroup(), http.MethodDelete, w.clientPath(), "")
		},
		revoke: (*lateWrite).deleteAndRegister,
	},
	{
		name: "user-disabled", match: onUser(firstOn),
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.userGroup(), http.MethodPatch, w.userPath(), `{"disabled":true}`)
		},
		revoke: func(w *lateWrite) { w.revokeAdmin(w.userGroup(), http.MethodPatch, w.userPath(), `{"disabled":true}`) },
	},
	{
		name: "user-demoted", match: onUser(firstOn),
		prepare: func(w *lateWrite) {
			w.right("role of "+w.user, w.roleSubject())
			w.mustAdmin(http.MethodPatch, w.userPath(), `{"role":"operator"}`)
		},
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, "role of "+w.user, http.MethodPatch, w.userPath(), `{"role":"developer"}`)
		},
		revoke: func(w *lateWrite) {
			w.revokeAdmin("role of "+w.user, http.MethodPatch, w.userPath(), `{"role":"developer"}`)
		},
	},
	{
		name: "user-deleted", match: onUser(firstOn),
		do:     func(w *lateWrite) { w.lateAdmin(history.Revoke, w.userGroup(), http.MethodDelete, w.userPath(), "") },
		revoke: func(w *lateWrite) { w.revokeAdmin(w.userGroup(), http.MethodDelete, w.userPath(), "") },
	},
}
