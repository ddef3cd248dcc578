package remotekeys

import (
	"time"

	"github.com/mintkeep/mintkeep/server/jwks"
)

const (
	// keptLonger is how long a set is used after its time, while it cannot be fetched.
	keptLonger = 24 * time.Hour
	// A failure is remembered for firstRetry; each further one for twice as long, up to lastRetry.
	firstRetry = 10 * time.Second
	lastRetry  = 5 * time.Minute
	// forgotten is when a failure says nothing any more about the next attempt.
	forgotten = 2 * lastRetry
	// refetchEvery is how often signatures that no key verifies may cause a fetch.
	refetchEvery = time.Minute
	reportEvery  = time.Minute
)

// An entry is what is known of the set at one URL. Fetcher.mu protects it.
type entry struct {
	uri    string
	flight *flight // the fetch that is under way; nil: none

	set     *jwks.Set // the last that was fetched; nil: none
	fetched time.Time // when it was asked for
	renewAt time.Time // four fifths of its time
	due     time.Time // its time is over
	marker  int64     // of the flight that brought it
	used    bool      // since it was fetched

	attempted time.Time // when the last flight began
	tried     int64     // its marker
	failures  int       // since the last success
	err       error     // the last of these
	retryAt   time.Time // until then a failure is remembered
	refetchAt time.Time // until then a signature that no key verifies causes no fetch
	reported  time.Time // when a failure was logged
}

// A need is what a request for a set asks of the fetcher.
type need int

const (
	nothing need = iota
	renewal      // a fetch in the background
	fetch        // a fetch that the request waits for
)

// needs says what a request asks of the fetcher. refreshed is the marker of its client.
func (e *entry) needs(now time.Time, refreshed int64) need {
	current := e.marker >= refreshed
	switch {
	case refreshed > e.tried: // an operator has asked for it since the last attempt
		return fetch
	case now.Before(e.retryAt):
		return nothing
	case !e.usableAt(now):
		return fetch
	case current && now.Before(e.renewAt):
		return nothing
	case current && now.Before(e.due):
		return renewal
	case e.failures > 0 && now.Sub(e.attempted) < forgotten:
		return renewal // it is probably still down: no request waits for that again
	default:
		// Nothing was tried for long: a key that was removed meanwhile must not be accepted once more.
		return fetch
	}
}

func (e *entry) usableAt(now time.Time) bool {
	return e.set != nil && now.Before(e.due.Add(keptLonger))
}

// usable is the set, or why there is none.
func (e *entry) usable(now time.Time) (*jwks.Set, error) {
	if e.usableAt(now) {
		e.used = true
		return e.set, nil
	}
	if e.err == nil {
		return nil, unavailable(errWaiting)
	}
	return nil, unavailable(e.err)
}

// adopt takes over an answer, unless the present set was asked for later.
func (e *entry) adopt(a *answer, marker int64) {
	if a.asked.Before(e.fetched) {
		return
	}
	e.set, e.fetched, e.marker, e.used = a.set, a.asked, max(e.marker, marker), false
	e.renewAt, e.due = a.asked.Add(a.lifetime*4/5), a.asked.Add(a.lifetime)
	e.failures, e.err, e.retryAt = 0, nil, time.Time{}
}

func (e *entry) fail(err error, now time.Time) {
	pause := lastRetry
	if e.failures < 5 { // 10, 20, 40, 80, 160 s
		pause = firstRetry << e.failures
	}
	e.failures++
	e.err, e.retryAt = err, now.Add(pause)
}
