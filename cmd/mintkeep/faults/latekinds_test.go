package faults

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store"
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

const password = "a long password of a user who is late"

// signIn signs the user in through the first server.
func (w *lateWrite) signIn() {
	name := "session of " + w.user
	e := history.Event{Worker: w.number, Op: history.Issue, On: name, Answer: history.Unknown, Start: w.log.Now()}
	status := w.browser.submit(w.late.URL, "/login", "/login", url.Values{"email": {w.client + "@example.com"}, "password": {password}})
	if e.End = w.log.Now(); status != http.StatusSeeOther {
		return
	}
	e.Answer = history.Done
	w.log.Add(e)
	cookies := w.browser.cookies(w.other.URL) // as a thief would keep them
	w.subjects = append(w.subjects, subject{
		name: name,
		ask: func(by processtest.Caller) processtest.Answer {
			thief := w.newBrowser()
			thief.setCookies(by.URL, cookies)
			status, _ := thief.get(by.URL + "/settings")
			return processtest.Answer{Status: status, Header: http.Header{"Retry-After": {"1"}}}
		},
		is: byStatus(http.StatusOK, http.StatusSeeOther), expected: []int{http.StatusOK, http.StatusSeeOther},
	})
}

// browser keeps cookies and submits forms.
type browser struct{ *http.Client }

// newBrowser is one without cookies. Its connections are those of all callers.
func (l *load) newBrowser() *browser {
	jar, _ := cookiejar.New(nil) // never fails
	return &browser{&http.Client{
		Jar: jar, Timeout: callTimeout, Transport: l.caller.HTTP.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) cookies(at string) []*http.Cookie {
	u, _ := url.Parse(at)
	return b.Jar.Cookies(u)
}

func (b *browser) setCookies(at string, cookies []*http.Cookie) {
	u, _ := url.Parse(at)
	b.Jar.SetCookies(u, cookies)
}

// get fetches a page; 0 without an answer.
func (b *browser) get(page string) (status int, body string) { return read(b.Get(page)) }

func read(response *http.Response, err error) (status int, body string) {
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	all, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(all)
}

var formToken = regexp.MustCompile(`name="form_token" value="([^"]+)"`)

// submit fetches the page with a form, and posts it. It returns the status of the latter, or of a page without a form.
func (b *browser) submit(server, page, to string, values url.Values) int {
	status, body := b.get(server + page)
	found := formToken.FindStringSubmatch(body)
	if found == nil {
		return status
	}
	form := url.Values{"form_token": {found[1]}}
	for name, value := range values {
		form[name] = value
	}
	status, _ = read(b.PostForm(server+to, form))
	return status
}
