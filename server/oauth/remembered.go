package oauth

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store/feed"
)

const (
	// rememberedTime is how long an authentication is remembered at most.
	rememberedTime = time.Minute
	// rememberedAge is how old this replica's knowledge of revocations may be.
	rememberedAge = time.Second
	// maxRemembered bounds the memory, and maxOfClient what one client has of it.
	maxRemembered = 10_000
	maxOfClient   = 64
	// maxForgotten is how many of the last voids are known. An authentication during which more came is not remembered.
	maxForgotten = 1_024
)

// presentedDigest is the digest of what a request presents to authenticate. Nothing else of it is kept.
type presentedDigest [sha256.Size]byte

// remembered has the guards that were authenticated within the last minute, so that their polls cost no command of Redis.
// The feed says when something that an authentication depends on is void; then it is forgotten. While the feed is not
// current, no authentication is taken from memory. A failure is never remembered.
type remembered struct {
	feed *feed.Feed
	now  func() time.Time

	mu    sync.Mutex
	known map[presentedDigest]*authentication
	by    map[feed.Handle][]presentedDigest // what depends on it

	// The last voids, so that an authentication which was under way when one came is not remembered: the authentication
	// may have read the store before the revocation.
	count     uint64 // of voids
	least     uint64 // no authentication is remembered that began with fewer
	forgotten [maxForgotten]feed.Handle
}

// authentication is one that succeeded.
type authentication struct {
	subscriber
	at time.Time
}

func newRemembered(f *feed.Feed, now func() time.Time) *remembered {
	m := &remembered{feed: f, now: now, known: map[presentedDigest]*authentication{}, by: map[feed.Handle][]presentedDigest{}}
	f.OnVoid(m.forget)
	return m
}

// byHeader is the client that the Authorization header of the request authenticates, if that is remembered.
func (m *remembered) byHeader(r *http.Request) (clientID string, ok bool) {
	if len(r.Header["Authorization"]) != 1 || r.URL.RawQuery != "" {
		return "", false
	}
	key, _ := presentedKey(r, nil)
	return m.client(key)
}

// presentedKey is the digest of what the request presents: its Authorization header, or else the members of the body. once:
// it is not to be remembered.
func presentedKey(r *http.Request, o web.Object) (key presentedDigest, once bool) {
	headers := r.Header["Authorization"]
	switch {
	case len(headers) > 1 || r.URL.RawQuery != "":
		return key, true
	case len(headers) == 1:
		return sha256.Sum256([]byte("header\x00" + headers[0])), false
	case !o.Has("client_id") || !o.Has("client_secret") || o.Has("client_assertion") || o.Has("client_assertion_type"):
		return key, true
	}
	return sha256.Sum256(slices.Concat([]byte("members\x00"), o["client_id"], []byte{0}, o["client_secret"])), false
}

// client is the one that this authenticates, if it is remembered.
func (m *remembered) client(key presentedDigest) (id string, ok bool) {
	m.mu.Lock()
	a := m.known[key]
	m.mu.Unlock()
	if a == nil || !a.holds(m.now()) || !m.feed.IsCurrent(rememberedAge) {
		return "", false
	}
	return a.ClientID, true
}

func (a *authentication) holds(now time.Time) bool {
	return now.Sub(a.at) < rememberedTime && (a.Until.IsZero() || now.Before(a.Until))
}

// begin is called before an authentication that may be remembered.
func (m *remembered) begin() (before uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// add remembers an authentication, unless something that it depends on was void since it began.
func (m *remembered) add(key presentedDigest, who subscriber, before uint64) {
	if len(who.Depends) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if before < m.least || m.count-before > maxForgotten {
		return
	}
	for i := before; i < m.count; i++ {
		if slices.Contains(who.Depends, m.forgotten[i%maxForgotten]) {
			return
		}
	}
	m.drop(key)
	m.makeRoom(who)
	m.known[key] = &authentication{who, m.now()}
	for _, h := range who.Depends {
		m.by[h] = append(m.by[h], key)
	}
}

// makeRoom drops others: of the same client, if that has its share, or any.
func (m *remembered) makeRoom(who subscriber) {
	if of := m.by[feed.OfClient(who.ClientID)]; len(of) >= maxOfClient {
		m.drop(of[0])
	}
	for key := range m.known {
		if len(m.known) < maxRemembered {
			return
		}
		m.drop(key)
	}
}

// drop forgets one. The caller holds the lock.
func (m *remembered) drop(key presentedDigest) {
	a := m.known[key]
	if a == nil {
		return
	}
	delete(m.known, key)
	for _, h := range a.Depends {
		m.by[h] = slices.DeleteFunc(m.by[h], func(k presentedDigest) bool { return k == key })
		if len(m.by[h]) == 0 {
			delete(m.by, h)
		}
	}
}

// forget is told of voids, in the order of the feed.
func (m *remembered) forget(handles []feed.Handle, all bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if all {
		m.count++
		m.least = m.count
		clear(m.known)
		clear(m.by)
	}
	for _, h := range handles {
		m.forgotten[m.count%maxForgotten] = h
		m.count++
		for _, key := range slices.Clone(m.by[h]) {
			m.drop(key)
		}
	}
}
