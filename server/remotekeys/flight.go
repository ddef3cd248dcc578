package remotekeys

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/mintkeep/mintkeep/server/jwks"
)

// A flight is one fetch, for all that wait for it.
type flight struct {
	marker  int64         // the greatest marker of an operator that was known when it began
	done    chan struct{} // closed when the entry has the outcome
	waiting int
	err     error // that of no fetch: it was not begun, or was aborted
}

var (
	errClosed  = errors.New("the server is stopping")
	errBusy    = errors.New("too many fetches are under way")
	errWaiting = errors.New("the set is still being fetched")
)

// start fetches the set of e, unless that is under way. Its caller holds mu.
func (f *Fetcher) start(e *entry, refreshed int64) *flight {
	if e.flight != nil {
		return e.flight
	}
	e.tried = max(e.tried, refreshed)
	e.attempted = f.now()
	fl := &flight{marker: e.tried, done: make(chan struct{})}
	if f.closed {
		fl.err = errClosed
		close(fl.done)
		return fl
	}
	e.flight = fl
	f.running.Go(func() {
		a, err := f.fetch(f.background, e.uri)
		f.mu.Lock()
		defer f.mu.Unlock()
		defer close(fl.done)
		e.flight = nil
		switch {
		case err == nil:
			e.adopt(a, fl.marker)
		case errors.Is(err, errBusy) || f.closed: // says nothing about the URL
			fl.err = err
		default:
			e.fail(err, f.now())
			f.report(e)
		}
	})
	return fl
}

// wait releases mu until the flight is over, or as long as ctx allows: less [storeTime]. It returns whether the flight is over.
func (f *Fetcher) wait(ctx context.Context, fl *flight) bool {
	if end, limited := ctx.Deadline(); limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-storeTime))
		defer cancel()
	}
	fl.waiting++
	f.mu.Unlock()
	select {
	case <-fl.done:
	case <-ctx.Done():
	}
	f.mu.Lock()
	fl.waiting--
	select {
	case <-fl.done:
		return true
	default:
		return false
	}
}

// outcome is what a request has that waited for the flight: the set of e, new or old.
func (fl *flight) outcome(e *entry, now time.Time) (*jwks.Set, error) {
	if fl.err != nil && !e.usableAt(now) {
		return nil, unavailable(fl.err)
	}
	return e.usable(now)
}

// report logs that a fetch failed, once a minute for each URL.
func (f *Fetcher) report(e *entry) {
	now := f.now()
	if !e.reported.IsZero() && now.Sub(e.reported) < reportEvery {
		return
	}
	e.reported = now
	if e.usableAt(now) {
		f.logger.Warn("fetching a key set failed; its previous keys stay in use", "url", Loggable(e.uri), "error", e.err,
			"fetched", e.fetched.UTC(), "until", e.due.Add(keptLonger).UTC(), "failures", e.failures)
		return
	}
	f.logger.Warn("fetching a key set failed; requests that need it are answered 503", "url", Loggable(e.uri), "error", e.err,
		"failures", e.failures)
}

// Loggable is a URL without its query, which may have a credential.
func Loggable(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return "?"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
