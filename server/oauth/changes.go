package oauth

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
)

const (
	// pollPatience bounds a poll that begins to wait later than pollBegins after its arrival. The others end earlier by themselves.
	pollPatience = 2450 * time.Millisecond
	pollBegins   = 500 * time.Millisecond
)

// Changes answers POST /oauth/changes: a poll of a guard, a service that keeps answers of introspection in memory. It is told
// what to forget, and as of when it knows everything.
func (s *Server) Changes(w http.ResponseWriter, r *http.Request) error {
	p, err := s.readPoll(r)
	if err != nil {
		return err
	}
	if s.polling.Add(1) > int64(s.config.FeedWaiting) {
		s.polling.Add(-1)
		return errTooManyPolls
	}
	answer, err := func() (*feed.Answer, error) {
		defer s.polling.Add(-1) // after a panic too, from which the request recovers
		return s.await(r, p)
	}()
	switch {
	case err == nil:
		return s.answerPoll(w, r, p, answer)
	case r.Context().Err() != nil:
		return web.Gone(w)
	}
	return feedUnavailable(err)
}

// await asks the feed, which answers when something is void or the wait is over. It holds no turn of admission control.
func (s *Server) await(r *http.Request, p *poll) (*feed.Answer, error) {
	ctx := r.Context()
	q := feed.Question{After: p.After, Wait: p.wait, Arrived: p.arrived, Drain: web.Wait(ctx)}
	if s.guards != nil {
		s.guards.Asked(p.Poll)
	}
	if time.Since(q.Arrived) > pollBegins { // authentication took long
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, q.Arrived.Add(pollPatience))
		defer cancel()
	}
	return s.feed.Poll(ctx, q)
}

// answerPoll answers a poll, and notes what the guard has reported and what it is told.
func (s *Server) answerPoll(w http.ResponseWriter, r *http.Request, p *poll, a *feed.Answer) error {
	now := time.Now()
	s.record(p)
	s.count(p, a, now)
	if s.guards != nil {
		told := p.Poll
		told.At, told.Lag = s.now(), -1
		if a.Fresh >= 0 && !a.More {
			told.Lag = now.Sub(p.arrived) - a.Fresh
		}
		s.guards.Heard(told)
	}
	voids, err := a.Voids.MarshalJSON()
	if err != nil {
		return err
	}
	head := make([]byte, 0, 256)
	head = append(head, `{"nonce":"`...)
	head = append(head, p.nonce...) // of characters that need no escape
	head = append(head, `","cursor":"`...)
	head = append(head, a.Cursor.String()...)
	head = append(head, `","reset":`...)
	head = strconv.AppendBool(head, a.Reset)
	head = append(head, `,"more":`...)
	head = strconv.AppendBool(head, a.More)
	head = append(head, `,"void":`...)
	tail := make([]byte, 0, 64)
	tail = append(tail, `,"fresh":`...)
	if a.Fresh < 0 {
		tail = append(tail, `null`...)
	} else {
		tail = strconv.AppendInt(tail, a.Fresh.Milliseconds(), 10)
	}
	tail = append(tail, `,"keys":"`...)
	tail = append(tail, s.keySetName()...)
	tail = append(tail, `"}`...)
	return web.Encoded(w, r, head, voids, tail)
}

// record records the uses of API keys that a guard has counted, as introspection does. It comes with the answer: a guard that gets
// none sends them again.
func (s *Server) record(p *poll) {
	if len(p.used) == 0 {
		return
	}
	now, from := s.now(), "client:"+p.ClientID
	for _, u := range p.used {
		s.store.ReportKeyUse(u.id, u.uses, store.Use{At: now.Add(-u.ago), From: from})
	}
}

func (s *Server) count(p *poll, a *feed.Answer, now time.Time) {
	if !a.Read.IsZero() {
		s.metrics.FeedPropagated(now.Sub(a.Read))
	}
	if !a.Reset {
		return
	}
	reason := metrics.ResetBroken
	if p.After == "" {
		reason = metrics.ResetFirst
	} else if _, ok := feed.ParseCursor(p.After); !ok {
		reason = metrics.ResetMalformed
	}
	s.metrics.FeedReset(reason)
}

// keySetName names the published key set: guards compare it.
type keySetName struct{ etag, name string }

// keySetNameSize is how many characters it has.
const keySetNameSize = 8

// keySetName is another one for each key set.
func (s *Server) keySetName() string {
	body, etag := s.ring.JWKS()
	known := s.keySet.Load()
	if known == nil || known.etag != etag {
		d := store.DigestOf(string(body))
		known = &keySetName{etag, feed.Handle(d[:16]).String()[:keySetNameSize]}
		s.keySet.Store(known)
	}
	return known.name
}

// feedRetry is the Retry-After of a poll that is not answered. Meanwhile the guard introspects at each call.
const feedRetry = time.Second

var errTooManyPolls = &web.Error{
	Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
	Description: "Too many polls wait at this replica; try again in a moment, or at another replica", RetryAfter: feedRetry,
	Cause: errors.New("more polls than MINTKEEP_FEED_WAITING"),
}

// feedUnavailable is the answer to a poll that the feed cannot answer. err is for the log.
func feedUnavailable(err error) *web.Error {
	return &web.Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "The feed of revocations is not available; introspect at each call, and try again", RetryAfter: feedRetry,
		Cause: err,
	}
}

// poll is what a guard asks and tells.
type poll struct {
	guards.Poll
	arrived time.Time
	nonce   string
	wait    time.Duration
	used    []usedKey
}

// usedKey is an API key that the guard has accepted from memory.
type usedKey struct {
	id   string
	uses int64
	ago  time.Duration // since the last use
}
