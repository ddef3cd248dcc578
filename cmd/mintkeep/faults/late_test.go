package faults

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// late are writes of the first server that reach Redis late, after the server has given up on them. Meanwhile the second
// server acknowledges a revocation of what they concern. Each kind of write is held once for each delay, all at once.
var late = []fault{
	lateWrites("late-writes", short, alone(), "ack"),
	lateWrites("late-writes-fsync", long, alone(durable...), "fsync"),
	lateWrites("late-writes-replicas", long, withReplica(), "replicas:1"),
	lateWrites("late-writes-sentinel", long, sentinels(), "ack"),
	lateWrites("late-writes-sentinel-fsync", long, sentinels(durable...), "fsync"),
	lateWrites("late-writes-sentinel-replicas", long, sentinels(), "replicas:1"),
	lateWrites("late-writes-cluster", long, sixNodes(), "ack"),
	lateWrites("late-writes-cluster-fsync", long, sixNodes(durable...), "fsync"),
	lateWrites("late-writes-cluster-replicas", long, sixNodes(), "replicas:1"),
	lateWrites("late-writes-delivered", long, withoutKill(alone()), "ack"),
	lateWrites("late-writes-sentinel-delivered", long, withoutKill(sentinels()), "ack"),
	lateWrites("late-writes-cluster-delivered", long, withoutKill(sixNodes()), "ack"),
}

func lateWrites(name string, f form, on stage, durability string) fault {
	return fault{
		name: name, form: f, on: throughLate(on), environ: []string{"MINTKEEP_REVOKE_DURABILITY=" + durability},
		prepare: (*scene).prepareWrites, inject: (*scene).holdWrites, lift: (*scene).awaitWrites, then: (*scene).settleWrites,
		unavailable: some, revokes: true,
	}
}

// withoutKill takes CLIENT KILL away, so that every write is delivered that is held.
func withoutKill(redis stage) stage {
	return func(s *scene) string {
		url := redis(s)
		s.withoutKill = true
		for _, server := range s.dataServers() {
			if _, err := server.Do("ACL", "SETUSER", "default", "-client|kill"); err != nil {
				s.t.Fatal(err)
			}
		}
		return url
	}
}

// dataServers are those that have data.
func (s *scene) dataServers() []*storetest.Server {
	switch {
	case s.watched != nil:
		return []*storetest.Server{s.watched.Primary, s.watched.Replica}
	case s.nodes != nil:
		return s.nodes.All()
	}
	return []*storetest.Server{s.redis}
}

// throughLate has the first server reach its Redis through a [storetest.LateProxy].
func throughLate(redis stage) stage {
	return func(s *scene) string {
		url, servers := redis(s), s.dataServers()
		if s.watched != nil {
			servers = append(servers, s.watched.Sentinels[:]...)
		}
		s.late = storetest.NewLateProxy(s.t, servers...)
		return url
	}
}

// withReplica is one Redis that has a replica.
func withReplica() stage {
	return func(s *scene) string {
		url := alone()(s)
		storetest.Replica(s.t, s.redis.Addr())
		s.redis.AwaitReplicas(1)
		return url
	}
}

// lateWrite is one write that is held, and the client and the user that it concerns, who are its own.
type lateWrite struct {
	worker
	lateKind
	scene       *scene
	late, other processtest.Caller // the first server, and the second
	delay       time.Duration

	token, key credential
	subjects   []subject // what else is checked
	secretID   string
	browser    *browser

	held      *storetest.Held
	arrived   time.Time
	delivered bool
	over      chan struct{}
}

// subject is something that is or is not honoured, as a server answers.
type subject struct {
	name string
	// ask is a call, and is whether its answer says so.
	ask func(processtest.Caller) processtest.Answer
	is  func(processtest.Answer) history.Answer
	// expected are the statuses of the answers.
	expected []int
}

// delays are for how long writes are held. For the longest, one kind of each class is.
func delays() []time.Duration {
	all := []time.Duration{700 * time.Millisecond, 3 * time.Second, longestDelay}
	if chosen == long {
		return all
	}
	return all[:1]
}

const longestDelay = 20 * time.Second

// firstLate is the number of the first late write in the history.
const firstLate = 2000

// prepareWrites creates what the writes will concern.
func (s *scene) prepareWrites() {
	for _, delay := range slices.Backward(delays()) {
		for _, kind := range lateKinds {
			if delay == longestDelay && !kind.longest {
				continue
			}
			w := &lateWrite{
				lateKind: kind, scene: s, delay: delay, over: make(chan struct{}),
				late: newCallerLike(s.caller, s.servers[0].URL), other: newCallerLike(s.caller, s.servers[1].URL),
			}
			w.load, w.number = s.load, firstLate+len(s.writes)
			s.writes = append(s.writes, w)
		}
	}
	s.eachWrite((*lateWrite).create)
}

// eachWrite does something for every write, for some at once.
func (s *scene) eachWrite(do func(*lateWrite)) {
	const atOnce = 8
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, w := range s.writes {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			do(w)
		})
	}
	all.Wait()
}

// holdWrites holds them, and has the revocations acknowledged that come after them. Each is delivered when its time has
// come.
func (s *scene) holdWrites() { s.eachWrite((*lateWrite).hold) }

// awaitWrites waits until all are delivered.
func (s *scene) awaitWrites() {
	held, delivered := 0, 0
	for _, w := range s.writes {
		<-w.over
		if !w.arrived.IsZero() {
			held++
		}
		if w.delivered {
			delivered++
		}
	}
	printLine(s.t, fmt.Sprintf("%s: %d writes were held, and %d of them delivered", s.t.Name(), held, delivered))
	if s.withoutKill && delivered < held {
		s.t.Error("not all that were held were delivered")
	}
}

// settleWrites checks everything once more: then that what exists is listed, and that a fence revokes all tokens.
func (s *scene) settleWrites() {
	s.eachWrite(func(w *lateWrite) { w.check("at the end, ") })
	s.checkAll()
	s.known = nil
	s.eachWrite((*lateWrite).checkListed)
	began := s.log.Now()
	s.fence()
	for _, w := range s.writes {
		s.log.Add(history.Event{Op: history.Revoke, On: w.tokenGroup(), Answer: history.Done, Start: began, End: s.log.Now(), Note: "fence"})
	}
	s.eachWrite(func(w *lateWrite) { w.checkCredentials("fenced, ") })
	if s.withoutKill { // then a late heartbeat may be taken for a loss
		return
	}
	for i, server := range s.servers {
		for _, line := range strings.Split(server.Log.String(), "\n") {
			if strings.Contains(line, `"msg":"Redis has lost writes`) || strings.Contains(line, `"msg":"data that this replica has seen is missing`) {
				s.t.Errorf("server %d believes that Redis has lost data: %s", i, line)
			}
		}
	}
}

// blame counts the violations of each late write.
func (s *scene) blame(violations []history.Violation) string {
	counts := map[string]int{}
	for _, v := range violations {
		name := "the load"
		if n := v.Event.Worker - firstLate; n >= 0 && n < len(s.writes) {
			name = s.writes[n].name
		}
		counts[fmt.Sprintf("%s (%s)", name, v.Kind)]++
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "\n%5d %s", counts[name], name)
	}
	return b.String()
}

// hold holds the write: its caller gets an answer, and the revocation after it is acknowledged.
func (w *lateWrite) hold() {
	const patience = 20 * time.Second
	w.held = w.scene.late.Hold(w.match(w))
	arrived := make(chan time.Time, 1)
	go func() {
		<-w.held.Arrived()
		arrived <- time.Now()
	}()
	for deadline := time.Now().Add(patience); w.arrived.IsZero(); {
		if w.do != nil {
			w.do(w) // again, if the server was not ready for it
		}
		select {
		case w.arrived = <-arrived:
		case <-time.After(100 * time.Millisecond):
			if time.Now().After(deadline) {
				w.scene.t.Errorf("%s: never held", w.name)
				close(w.over)
				return
			}
		}
	}
	if w.revoke != nil {
		w.revoke(w)
	}
	w.check("held, ")
	go w.deliver()
}

// deliver delivers the write when its time has come.
func (w *lateWrite) deliver() {
	defer close(w.over)
	time.Sleep(time.Until(w.arrived.Add(w.delay)))
	w.delivered = w.held.Release()
	w.check("delivered, ")
}

// create creates the client and the user, each with a credential.
func (w *lateWrite) create() {
	w.client = fmt.Sprintf("late-%d-%s", w.number, w.name)
	w.createClient()
	a := w.mustAdmin(http.MethodPost, "/admin/users", fmt.Sprintf(`{"email":"%s@example.com","name":"Late"}`, w.client))
	w.user = member(a, "id")
	a, e := w.callAdmin(history.Issue, "", "POST keys", w.other, http.MethodPost, "/admin/users/"+w.user+"/keys", `{"name":"k","scope":"read"}`, http.StatusCreated)
	w.key = credential{kind: "key", value: member(a, "key"), id: member(a, "id")}
	e.On, e.Groups, e.Reversible = w.key.name(), []string{"user " + w.user}, true
	w.log.Add(e)
	if w.prepare != nil {
		w.prepare(w)
	}
}

// createClient registers the client through the second server, and fetches a token.
func (w *lateWrite) createClient() {
	body := fmt.Sprintf(`{"client_id":%q,"scope":"read","access_token_format":"opaque"}`, w.client)
	a, e := w.callAdmin(history.Issue, "", "POST /admin/clients", w.other, http.MethodPost, "/admin/clients", body, http.StatusCreated)
	w.secret = member(a, "client_secret")
	w.issued(e, w.secretName())
	w.token = w.fetch(w.other)
}

// fetch fetches a token and records it; none without an answer.
func (w *lateWrite) fetch(by processtest.Caller) (c credential) {
	a, e := w.act(history.Issue, "", "POST /oauth/token", func() processtest.Answer { return by.Issue(w.authorization()) }, http.StatusOK)
	if e.Answer != history.Done {
		return c
	}
	c = credential{kind: "token", value: member(a, "access_token")}
	e.On, e.Groups = c.name(), []string{w.clientGroup(), w.tokenGroup()}
	w.log.Add(e)
	return c
}

func (w *lateWrite) clientGroup() string { return "client " + w.client }
func (w *lateWrite) tokenGroup() string  { return "tokens of " + w.client }
func (w *lateWrite) userGroup() string   { return "user " + w.user }
func (w *lateWrite) clientPath() string  { return "/admin/clients/" + w.client }
func (w *lateWrite) userPath() string    { return "/admin/users/" + w.user }

// callAdmin is one call of /admin, recorded in the ledger.
func (w *lateWrite) callAdmin(op history.Op, on, what string, by processtest.Caller, method, path, body string, expected ...int) (processtest.Answer, history.Event) {
	return w.act(op, on, what, func() processtest.Answer { return by.Admin(method, path, body) }, expected...)
}

// mustAdmin prepares something through the second server.
func (w *lateWrite) mustAdmin(method, path, body string) processtest.Answer {
	a := w.other.Admin(method, path, body)
	if a.Err != nil || a.Status >= http.StatusMultipleChoices {
		w.scene.t.Errorf("%s: %s %s: %s", w.name, method, path, a)
	}
	return a
}

// lateAdmin calls the first server, whose write is held, and records what it was about.
func (w *lateWrite) lateAdmin(op history.Op, on, method, path, body string) (processtest.Answer, history.Event) {
	a, e := w.callAdmin(op, on, method+" "+path, w.late, method, path, body, http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusNotFound, http.StatusConflict)
	if on != "" {
		w.log.Add(e)
	}
	return a, e
}

// revokeAdmin has the second server acknowledge a revocation. What is not there is revoked.
func (w *lateWrite) revokeAdmin(on, method, path, body string) processtest.Answer {
	return w.acknowledged(on, func() processtest.Answer { return w.other.Admin(method, path, body) })
}

func (w *lateWrite) acknowledged(on string, call func() processtest.Answer) processtest.Answer {
	for range 50 {
		a, e := w.act(history.Revoke, on, "revoke "+on, call, http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusNotFound, http.StatusSeeOther)
		if a.Status == http.StatusNotFound || a.Status == http.StatusSeeOther {
			e.Answer = history.Done
		}
		w.log.Add(e)
		if e.Answer == history.Done {
			return a
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.scene.t.Errorf("%s: the revocation was not acknowledged", w.name)
	return processtest.Answer{}
}

// check asks both servers about everything that the write may concern.
func (w *lateWrite) check(when string) {
	w.checkCredentials(when)
	for place, by := range []processtest.Caller{w.late, w.other} {
		note := fmt.Sprintf("%sserver %d, ", when, place)
		for _, sub := range append(w.subjects, w.secretSubject()) {
			a, e := w.act(history.Check, sub.name, "check "+sub.name, func() processtest.Answer { return sub.ask(by) }, sub.expected...)
			if e.Answer = history.Unknown; a.Err == nil {
				e.Answer = sub.is(a)
			}
			e.Note = note + e.Note
			w.log.Add(e)
		}
	}
}

// checkCredentials asks both servers about the token and the key.
func (w *lateWrite) checkCredentials(when string) {
	for place, by := range []processtest.Caller{w.late, w.other} {
		for _, c := range []credential{w.token, w.key} {
			if c.value != "" {
				w.load.check(by, w.number, c, fmt.Sprintf("%sserver %d, ", when, place))
			}
		}
	}
}

// secretSubject is the client's secret: there is a token for it.
func (w *lateWrite) secretSubject() subject {
	authorization := w.authorization()
	return subject{
		name: w.secretName(), expected: []int{http.StatusOK, http.StatusUnauthorized},
		ask: func(by processtest.Caller) processtest.Answer { return by.Issue(authorization) },
		is:  byStatus(http.StatusOK, http.StatusUnauthorized),
	}
}

// byStatus reads an answer whose status says it all.
func byStatus(active, inactive int) func(processtest.Answer) history.Answer {
	return func(a processtest.Answer) history.Answer {
		switch a.Status {
		case active:
			return history.Active
		case inactive:
			return history.Inactive
		}
		return history.Unknown
	}
}

// checkListed looks for the client in the list, if it exists.
func (w *lateWrite) checkListed() {
	there := w.other.Admin(http.MethodGet, w.clientPath(), "")
	listed := w.other.Admin(http.MethodGet, "/admin/clients?q="+url.QueryEscape(w.client), "")
	if there.Is(http.StatusOK) && listed.Is(http.StatusOK) && !strings.Contains(listed.Body, w.client) {
		w.scene.t.Errorf("%s: the client exists and is not listed", w.name)
	}
}
