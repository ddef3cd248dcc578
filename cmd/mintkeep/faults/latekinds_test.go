package faults

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// lateKind is a kind of write.
type lateKind struct {
	name string
	// longest is whether it is held for the longest delay too, for its class: creations, changes, revocations, heartbeats,
	// index entries, statistics.
	longest bool
	// prepare, if set, is done through the second server beforehand.
	prepare func(*lateWrite)
	// match picks the piece to hold.
	match func(*lateWrite) storetest.Match
	// do has the first server write; nil: it does so by itself.
	do func(*lateWrite)
	// revoke has the second server revoke what is concerned, and perhaps create something in its place. It may be nil.
	revoke func(*lateWrite)
}

var lateKinds = slices.Concat(lateCreations, lateChanges, lateRevocations, lateOthers)

// wrote matches a command with this key, or its beginning, in which the text occurs.
func wrote(name, key, text string) storetest.Match {
	return func(piece [][]string) bool {
		return slices.ContainsFunc(piece, func(words []string) bool {
			return words[0] == name && len(words) > 1 && strings.HasPrefix(words[1], key) && strings.Contains(strings.Join(words, " "), text)
		})
	}
}

// transactionOn matches a transaction that writes a key.
func transactionOn(key string) storetest.Match {
	writes := storetest.Command("", key)
	return func(piece [][]string) bool { return piece[len(piece)-1][0] == "exec" && writes(piece) }
}

// firstOn matches any write of a key.
func firstOn(key string) storetest.Match {
	return func(piece [][]string) bool {
		return slices.ContainsFunc(piece, func(words []string) bool {
			return slices.Contains([]string{"hset", "hsetnx", "hdel", "del", "set"}, words[0]) && len(words) > 1 && words[1] == key
		})
	}
}

func onClient(match func(key string) storetest.Match) func(*lateWrite) storetest.Match {
	return func(w *lateWrite) storetest.Match { return match("mk:c:" + w.client) }
}

func onUser(match func(key string) storetest.Match) func(*lateWrite) storetest.Match {
	return func(w *lateWrite) storetest.Match { return match("mk:p:" + w.user) }
}

func onKey(match func(key string) storetest.Match) func(*lateWrite) storetest.Match {
	return func(w *lateWrite) storetest.Match { return match(recordOf(w.key)) }
}

var lateCreations = []lateKind{
	{
		name: "token", longest: true,
		match:  func(w *lateWrite) storetest.Match { return wrote("set", "mk:t:", w.client) },
		do:     func(w *lateWrite) { w.keep(w.fetch(w.late)) },
		revoke: (*lateWrite).revokeItsToken,
	},
	{
		name: "key", longest: true,
		match: func(w *lateWrite) storetest.Match { return wrote("set", "mk:t:", w.user) },
		do: func(w *lateWrite) {
			a, e := w.lateAdmin(history.Issue, "", http.MethodPost, w.userPath()+"/keys", `{"name":"late","scope":"read"}`)
			if e.Answer == history.Done {
				w.key = credential{kind: "key", value: member(a, "key"), id: member(a, "id")}
				e.On, e.Groups, e.Reversible = w.key.name(), []string{w.userGroup()}, true
				w.log.Add(e)
			}
		},
		revoke: (*lateWrite).revokeItsKey,
	},
	{
		name: "session",
		prepare: func(w *lateWrite) {
			w.browser = w.newBrowser()
			link := member(w.mustAdmin(http.MethodPost, w.userPath()+"/invite", ""), "invite_url")
			u, _ := url.Parse(link)
			if status := w.browser.submit(w.other.URL, u.Path, u.Path, url.Values{"password": {password}, "again": {password}}); status != http.StatusSeeOther {
				w.scene.t.Errorf("redeem an invite: %d", status)
			}
			w.browser = w.newBrowser()
		},
		match: func(w *lateWrite) storetest.Match { return wrote("set", "mk:s:", w.user) },
		do:    (*lateWrite).signIn,
		revoke: func(w *lateWrite) {
			w.acknowledged("session of "+w.user, func() processtest.Answer {
				status := w.browser.submit(w.other.URL, "/settings", "/logout", nil)
				return processtest.Answer{Status: status, Header: http.Header{"Retry-After": {"1"}}}
			})
		},
	},
	{
		name: "client", longest: true,
		match:  onNext(transactionOn),
		do:     (*lateWrite).registerNext,
		revoke: (*lateWrite).deleteNext,
	},
	{
		name:   "client-begun",
		match:  onNext(firstOn),
		do:     (*lateWrite).registerNext,
		revoke: (*lateWrite).deleteNext,
	},
	{
		name:  "user",
		match: func(w *lateWrite) storetest.Match { return wrote("hset", "mk:p:", "next-"+w.client) },
		do: func(w *lateWrite) {
			w.lateAdmin(history.Issue, "", http.MethodPost, "/admin/users", fmt.Sprintf(`{"email":"next-%s@example.com"}`, w.client))
		},
	},
}

var lateOthers = []lateKind{
	{
		name: "entry-removed", longest: true,
		match: func(w *lateWrite) storetest.Match { return wrote("zrem", "mk:clients:id", w.client) },
		do: func(w *lateWrite) {
			w.lateAdmin(history.Revoke, w.clientGroup(), http.MethodDelete, w.clientPath(), "")
		},
		revoke: (*lateWrite).deleteAndRegister,
	},
	{
		name:   "entry-added",
		match:  func(w *lateWrite) storetest.Match { return wrote("zadd", "mk:clients:id", w.nextClient()) },
		do:     (*lateWrite).registerNext,
		revoke: (*lateWrite).deleteNext,
	},
	{
		name:   "secret-entry-added",
		match:  func(w *lateWrite) storetest.Match { return wrote("hset", "mk:secrets", w.client) },
		do:     (*lateWrite).rotate,
		revoke: func(w *lateWrite) { w.revokeAdmin(w.clientGroup(), http.MethodDelete, w.clientPath(), "") },
	},
	{
		name:  "key-entries-added",
		match: func(w *lateWrite) storetest.Match { return wrote("zadd", "mk:pk:"+w.user, "") },
		do: func(w *lateWrite) {
			w.lateAdmin(history.Issue, "", http.MethodPost, w.userPath()+"/keys", `{"name":"late","scope":"read"}`)
		},
		revoke: func(w *lateWrite) { w.revokeAdmin(w.userGroup(), http.MethodDelete, w.userPath(), "") },
	},
	{
		name:   "last-use",
		match:  func(w *lateWrite) storetest.Match { return wrote("hset", "mk:u:"+w.client, "") },
		do:     func(w *lateWrite) { w.fetch(w.late) },
		revoke: func(w *lateWrite) { w.revokeAdmin(w.clientGroup(), http.MethodDelete, w.clientPath(), "") },
	},
	{
		name: "statistics", longest: true,
		match: func(*lateWrite) storetest.Match { return storetest.Command("hincrby", "mk:n:") },
	},
	{
		name: "heartbeat", longest: true,
		match: func(*lateWrite) storetest.Match { return storetest.Command("hincrby", "mk:epoch") },
	},
}
