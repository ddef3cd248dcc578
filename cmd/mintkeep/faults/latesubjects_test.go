package faults

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// keep takes a token for the one that is checked.
func (w *lateWrite) keep(c credential) {
	if c.value != "" {
		w.token = c
	}
}

// recordOf is the key of a credential's record.
func recordOf(c credential) string {
	d := store.DigestOf(c.value)
	return "mk:t:" + string(d[:])
}

func (w *lateWrite) revokeItsToken() {
	w.acknowledged(w.token.name(), func() processtest.Answer { return w.other.Revoke(w.authorization(), w.token.value) })
}

func (w *lateWrite) revokeItsKey() {
	w.revokeAdmin(w.key.name(), http.MethodDelete, "/admin/keys/"+w.key.id, "")
}

func (w *lateWrite) disableItsKey() {
	w.revokeAdmin(w.key.name(), http.MethodPatch, "/admin/keys/"+w.key.id, `{"disabled":true}`)
}

func (w *lateWrite) enableItsKey() {
	w.lateAdmin(history.Enable, w.key.name(), http.MethodPatch, "/admin/keys/"+w.key.id, `{"disabled":false}`)
}

// nextClient is another client of the write's own, which it registers with a secret that is known beforehand.
func (w *lateWrite) nextClient() string { return "next-" + w.client }

const nextSecret = "a-secret-that-is-known-before-its-client-is-registered"

func onNext(match func(key string) storetest.Match) func(*lateWrite) storetest.Match {
	return func(w *lateWrite) storetest.Match { return match("mk:c:" + w.nextClient()) }
}

// registerNext registers the other client through the first server. It counts as issued: its secret is known.
func (w *lateWrite) registerNext() {
	if len(w.subjects) == 0 {
		authorization := authorization(w.nextClient(), nextSecret)
		w.right("secret of "+w.nextClient(), subject{
			ask:      func(by processtest.Caller) processtest.Answer { return by.Issue(authorization) },
			is:       byStatus(http.StatusOK, http.StatusUnauthorized),
			expected: []int{http.StatusOK, http.StatusUnauthorized},
		})
	}
	w.lateAdmin(history.Issue, "", http.MethodPost, "/admin/clients",
		fmt.Sprintf(`{"client_id":%q,"client_secret":%q,"scope":"read","access_token_format":"opaque"}`, w.nextClient(), nextSecret))
}

func (w *lateWrite) deleteNext() {
	w.revokeAdmin("secret of "+w.nextClient(), http.MethodDelete, "/admin/clients/"+w.nextClient(), "")
}

// deleteAndRegister deletes the client and registers another of the same id.
func (w *lateWrite) deleteAndRegister() {
	w.revokeAdmin(w.clientGroup(), http.MethodDelete, w.clientPath(), "")
	w.check("deleted, ")
	w.createClient()
}

// right adds something that the write may give: it counts as given from now on, until it is revoked.
func (w *lateWrite) right(name string, s subject) {
	if slices.ContainsFunc(w.subjects, func(s subject) bool { return s.name == name }) {
		return
	}
	s.name = name
	w.subjects = append(w.subjects, s)
	now := w.log.Now()
	w.log.Add(history.Event{Worker: w.number, Op: history.Issue, On: name, Answer: history.Done, Start: now, End: now})
}

// scopeSubject is whether the client gets the scope "write".
func (w *lateWrite) scopeSubject() subject {
	authorization := w.authorization()
	return subject{
		ask: func(by processtest.Caller) processtest.Answer {
			return by.Form("/oauth/token", authorization, url.Values{"grant_type": {"client_credentials"}, "scope": {"write"}})
		},
		is: byStatus(http.StatusOK, http.StatusBadRequest), expected: []int{http.StatusOK, http.StatusBadRequest},
	}
}

// roleSubject is whether the user is an operator.
func (w *lateWrite) roleSubject() subject {
	return subject{
		ask: func(by processtest.Caller) processtest.Answer { return by.Admin(http.MethodGet, w.userPath(), "") },
		is: func(a processtest.Answer) history.Answer {
			switch {
			case a.Status != http.StatusOK:
				return history.Unknown
			case member(a, "role") == "operator":
				return history.Active
			}
			return history.Inactive
		},
		expected: []int{http.StatusOK},
	}
}

// rotate replaces the client's secret through the first server. The old one is checked from now on too.
func (w *lateWrite) rotate() {
	old := w.secretSubject()
	if !slices.ContainsFunc(w.subjects, func(s subject) bool { return s.name == old.name }) {
		w.subjects = append(w.subjects, old)
	}
	w.rotated(w.lateAdmin(history.Revoke, w.secretName(), http.MethodPost, w.clientPath()+"/secrets", `{"overlap":"0s"}`))
}

// rotated takes the secret of an answer for the client's.
func (w *lateWrite) rotated(a processtest.Answer, e history.Event) {
	if a.Status != http.StatusCreated {
		return
	}
	w.secret = member(a, "client_secret")
	e.Op = history.Issue
	w.issued(e, w.secretName())
}

var secretIDs = regexp.MustCompile(`"id":"(sec_[^"]+)"`)

func (w *lateWrite) findSecret() {
	a := w.mustAdmin(http.MethodGet, w.clientPath()+"/secrets", "")
	if found := secretIDs.FindStringSubmatch(a.Body); found != nil {
		w.secretID = found[1]
	}
}
