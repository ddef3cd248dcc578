package faults

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// worker makes calls, one after the other, with a client and a user of its own, which it disables, rotates and deletes at
// random; and it checks the credentials of all workers.
type worker struct {
	*load
	number  int
	dice    *rand.Rand
	created int // clients and users

	client, secret string
	user           string
	disabled       bool // the client, as far as is known
	tokens, keys   []credential
}

// action is a call of a worker, made the more often the more weight it has.
type action struct {
	weight int
	do     func(*worker)
}

var actions = []action{
	{28, (*worker).issue},
	{44, (*worker).checkAny},
	{8, (*worker).revokeToken},
	{5, (*worker).createKey},
	{4, (*worker).revokeKey},
	{3, (*worker).checkJunk},
	{2, (*worker).rotate},
	{2, (*worker).revokeTokens},
	{1, (*worker).disableClient},
	{1, (*worker).disableUser},
	{2, (*worker).disableKey},
	{1, (*worker).deleteClient},
	{1, (*worker).claimOne},
}

func (w *worker) work(ctx context.Context) {
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	for ctx.Err() == nil {
		w.working.RLock()
		w.settle()
		n := w.dice.IntN(total)
		for _, a := range actions {
			if n -= a.weight; n < 0 {
				a.do(w)
				break
			}
		}
		w.working.RUnlock()
		time.Sleep(w.pace)
	}
}

// settle creates the client and the user if the worker has none.
func (w *worker) settle() {
	if w.client == "" {
		w.register()
	}
	if w.user == "" {
		w.createUser()
	}
}

// act calls, and records the outcome.
func (w *worker) act(op history.Op, on, what string, call func() processtest.Answer, expected ...int) (processtest.Answer, history.Event) {
	e := history.Event{Worker: w.number, Op: op, On: on, Start: w.log.Now()}
	a := call()
	w.ledger.note(what, a, expected...)
	e.End, e.Answer, e.Note = w.log.Now(), outcome(a), fmt.Sprint(a.Status)
	return a, e
}

func (w *worker) admin(op history.Op, on, method, path, body string, expected ...int) (processtest.Answer, history.Event) {
	return w.act(op, on, method+" "+path, func() processtest.Answer { return w.caller.Admin(method, path, body) }, expected...)
}

func (w *worker) secretName() string    { return named("secret", w.client+":"+w.secret) }
func (w *worker) authorization() string { return authorization(w.client, w.secret) }

func authorization(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func (w *worker) register() {
	w.created++
	id := fmt.Sprintf("worker-%d-%d", w.number, w.created)
	body := fmt.Sprintf(`{"client_id":%q,"scope":"read","access_token_format":%q}`, id, []string{"jwt", "opaque"}[w.created%2])
	a, e := w.admin(history.Issue, "", http.MethodPost, "/admin/clients", body, http.StatusCreated)
	if e.Answer != history.Done {
		return
	}
	w.client, w.secret, w.tokens, w.disabled = id, member(a, "client_secret"), nil, false
	w.issued(e, w.secretName())
}

// issued records a new secret of the worker's client.
func (w *worker) issued(e history.Event, name string) {
	e.On, e.Groups, e.Reversible = name, []string{"client " + w.client}, true
	w.log.Add(e)
}

func (w *worker) createUser() {
	w.created++
	email := fmt.Sprintf("worker-%d-%d@example.com", w.number, w.created)
	a, e := w.admin(history.Issue, "", http.MethodPost, "/admin/users", fmt.Sprintf(`{"email":%q,"name":"Worker"}`, email), http.StatusCreated)
	if e.Answer == history.Done {
		w.user, w.keys = member(a, "id"), nil
	}
}

// issue fetches a token, and so checks the secret too.
func (w *worker) issue() {
	if w.client == "" {
		return
	}
	call := func() processtest.Answer { return w.caller.Issue(w.authorization()) }
	a, e := w.act(history.Issue, "", "POST /oauth/token", call, http.StatusOK, http.StatusUnauthorized)
	check := e
	check.Op, check.On = history.Check, w.secretName()
	switch a.Status {
	case http.StatusOK:
		c := credential{kind: "token", value: member(a, "access_token")}
		e.On, e.Groups = c.name(), []string{"client " + w.client, "tokens of " + w.client}
		check.Answer = history.Active
		w.log.Add(e, check)
		w.tokens = append(w.tokens, c)
		w.learn(c)
	case http.StatusUnauthorized:
		check.Answer = history.Inactive
		w.log.Add(check)
		if !w.disabled { // the rotation or the revocation that was not answered was applied
			w.client = ""
		}
	}
}

func (w *worker) checkAny() {
	if c, ok := w.pick(w.dice); ok {
		w.check(w.caller, w.number, c, "")
	}
}

// checkJunk checks a well-formed credential that was never issued.
func (w *worker) checkJunk() {
	c, ok := w.pick(w.dice)
	if !ok {
		return
	}
	b := []byte(c.value)
	at := 4 + w.dice.IntN(len(b)-4)
	b[at] = "abcdefghijklmnopqrstuvwxyz"[w.dice.IntN(26)]
	if string(b) != c.value {
		w.check(w.caller, w.number, credential{kind: c.kind, value: string(b)}, "changed at one place, ")
	}
}

func (w *worker) revokeToken() {
	c, ok := take(w.dice, &w.tokens)
	if !ok || w.client == "" {
		return
	}
	call := func() processtest.Answer { return w.caller.Revoke(w.authorization(), c.value) }
	a, e := w.act(history.Revoke, c.name(), "POST /oauth/revoke", call, http.StatusOK, http.StatusUnauthorized)
	w.log.Add(e)
	if e.Answer == history.Unknown && w.dice.IntN(2) == 0 {
		w.tokens = append(w.tokens, c) // to be repeated
	}
	if a.Status == http.StatusUnauthorized && !w.disabled {
		w.client = ""
	}
}

func (w *worker) createKey() {
	if w.user == "" {
		return
	}
	a, e := w.admin(history.Issue, "", http.MethodPost, "/admin/users/"+w.user+"/keys", `{"name":"k","scope":"read"}`,
		w.expect(http.StatusCreated, http.StatusNotFound)...)
	switch e.Answer {
	case history.Done:
		c := credential{kind: "key", value: member(a, "key"), id: member(a, "id")}
		e.On, e.Groups, e.Reversible = c.name(), []string{"user " + w.user}, true
		w.log.Add(e)
		w.keys = append(w.keys, c)
		w.learn(c)
	case history.Rejected:
		w.user = ""
	}
}

// revokeKey has an operator revoke a key, or the key itself.
func (w *worker) revokeKey() {
	c, ok := take(w.dice, &w.keys)
	if !ok {
		return
	}
	var e history.Event
	if w.dice.IntN(2) == 0 {
		_, e = w.admin(history.Revoke, c.name(), http.MethodDelete, "/admin/keys/"+c.id, "", w.expect(http.StatusNoContent, http.StatusNotFound)...)
	} else {
		call := func() processtest.Answer { return w.caller.Revoke("Bearer "+c.value, c.value) }
		_, e = w.act(history.Revoke, c.name(), "POST /oauth/revoke", call, http.StatusOK, http.StatusUnauthorized)
	}
	w.log.Add(e)
}

// rotate creates a new secret, and revokes the old one at once.
func (w *worker) rotate() {
	if w.client == "" {
		return
	}
	a, e := w.admin(history.Revoke, w.secretName(), http.MethodPost, "/admin/clients/"+w.client+"/secrets", `{"overlap":"0s"}`,
		w.expect(http.StatusCreated, http.StatusNotFound)...)
	w.log.Add(e)
	if e.Answer != history.Done {
		w.client = "" // which secret is active is unknown
		return
	}
	w.secret = member(a, "client_secret")
	e.Op = history.Issue
	w.issued(e, w.secretName())
}

func (w *worker) revokeTokens() {
	if w.client == "" {
		return
	}
	_, e := w.admin(history.Revoke, "tokens of "+w.client, http.MethodPost, "/admin/clients/"+w.client+"/revoke-tokens", "",
		w.expect(http.StatusNoContent, http.StatusNotFound)...)
	w.log.Add(e)
	w.tokens = nil
}

// disableClient disables the client, tries its secret, and enables it again, which leaves its tokens revoked.
func (w *worker) disableClient() {
	if w.client == "" {
		return
	}
	path, group := "/admin/clients/"+w.client, "client "+w.client
	_, e := w.admin(history.Revoke, group, http.MethodPatch, path, `{"disabled":true}`, w.expect(http.StatusOK, http.StatusNotFound)...)
	w.log.Add(e)
	w.disabled = true
	w.issue()
	w.checkAny()
	_, e = w.admin(history.Enable, group, http.MethodPatch, path, `{"disabled":false}`, w.expect(http.StatusOK, http.StatusNotFound)...)
	w.disabled = false
	tokens := e
	tokens.Op, tokens.On, tokens.Answer = history.Revoke, "tokens of "+w.client, history.Unknown
	w.log.Add(e, tokens)
	w.tokens = nil
	if e.Answer != history.Done {
		w.client = ""
	}
}

func (w *worker) disableUser() {
	if w.user == "" {
		return
	}
	path, group := "/admin/users/"+w.user, "user "+w.user
	_, e := w.admin(history.Revoke, group, http.MethodPatch, path, `{"disabled":true}`, w.expect(http.StatusOK, http.StatusNotFound)...)
	w.log.Add(e)
	for range 2 {
		if len(w.keys) > 0 {
			w.check(w.caller, w.number, w.keys[w.dice.IntN(len(w.keys))], "disabled, ")
		}
	}
	_, e = w.admin(history.Enable, group, http.MethodPatch, path, `{"disabled":false}`, w.expect(http.StatusOK, http.StatusNotFound)...)
	w.log.Add(e)
	if e.Answer != history.Done {
		w.user = ""
	}
}

// disableKey disables a key, tries it, and enables it again.
func (w *worker) disableKey() {
	if len(w.keys) == 0 {
		return
	}
	c := w.keys[w.dice.IntN(len(w.keys))]
	patch := func(op history.Op, body string) {
		_, e := w.admin(op, c.name(), http.MethodPatch, "/admin/keys/"+c.id, body,
			w.expect(http.StatusOK, http.StatusNotFound, http.StatusConflict)...)
		w.log.Add(e)
	}
	patch(history.Revoke, `{"disabled":true}`)
	w.check(w.caller, w.number, c, "disabled, ")
	patch(history.Enable, `{"disabled":false}`)
}

func (w *worker) deleteClient() {
	if w.client == "" {
		return
	}
	_, e := w.admin(history.Revoke, "client "+w.client, http.MethodDelete, "/admin/clients/"+w.client, "", w.expect(http.StatusNoContent, http.StatusNotFound)...)
	w.log.Add(e)
	w.disabled = true
	w.issue()
	w.client, w.disabled = "", false
}

// claimOne registers an id that another worker tries to register too.
func (w *worker) claimOne() {
	id := w.claim()
	_, e := w.admin(history.Claim, id, http.MethodPost, "/admin/clients", fmt.Sprintf(`{"client_id":%q,"scope":"read"}`, id), http.StatusCreated, http.StatusConflict)
	w.log.Add(e)
}

// take removes one of a list.
func take(dice *rand.Rand, from *[]credential) (credential, bool) {
	list := *from
	if len(list) == 0 {
		return credential{}, false
	}
	i := dice.IntN(len(list))
	c := list[i]
	list[i] = list[len(list)-1]
	*from = list[:len(list)-1]
	return c, true
}

func member(a processtest.Answer, name string) string {
	var members map[string]any
	_ = json.Unmarshal([]byte(a.Body), &members)
	value, _ := members[name].(string)
	return value
}
