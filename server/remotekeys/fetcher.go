package remotekeys

import (
	"container/list"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/store"
)

const (
	maxSets    = 1000
	maxFetches = 32  // at once; each may take 256 KiB
	maxWaiting = 100 // requests that wait for a new key of one set

	fetchTime = 5 * time.Second
	// storeTime is what a request that waits for a fetch keeps of its time: to write the token, or why it was rejected.
	storeTime = 800 * time.Millisecond

	// sweepEvery is how often the sets are looked through for those to renew.
	sweepEvery = 10 * time.Second
)

// Options for New. Config is required.
type Options struct {
	Config  *config.Config   // MINTKEEP_FETCH_ALLOW, _CA and _PROXY; the issuer is in the User-Agent
	Logger  *slog.Logger     // nil: nothing is logged
	Metrics *metrics.Metrics // nil: nothing is counted
	Now     func() time.Time // nil: time.Now

	// Resolver looks up names. Nil: that of the machine. Tests have one that lies.
	Resolver *net.Resolver
	// Time is what a fetch may take; two fifths of it to connect. Zero: 5 s. Tests of slow servers have less.
	Time time.Duration
}

// Fetcher fetches key sets and keeps them.
type Fetcher struct {
	cfg      *config.Config
	logger   *slog.Logger
	metrics  *metrics.Metrics
	now      func() time.Time
	resolver *net.Resolver
	time     time.Duration
	guard    guard
	proxy    *url.URL                      // nil: none
	roots    atomic.Pointer[x509.CertPool] // for what MINTKEEP_FETCH_ALLOW lists; nil: those of the system
	slots    chan struct{}                 // one for each fetch that is under way

	background context.Context // of the fetches that belong to no request
	stop       context.CancelFunc
	running    sync.WaitGroup

	mu      sync.Mutex // for the fields below, and those of every entry and flight
	entries map[string]*list.Element
	recent  *list.List // of *entry and nothing else, the last used first
	closed  bool
}

// New returns a Fetcher. It starts nothing: see [Fetcher.Run].
func New(o Options) (*Fetcher, error) {
	f := &Fetcher{
		cfg: o.Config, logger: o.Logger, metrics: o.Metrics, now: o.Now, resolver: o.Resolver, time: o.Time,
		guard: newGuard(o.Config.FetchAllow), slots: make(chan struct{}, maxFetches),
		entries: map[string]*list.Element{}, recent: list.New(),
	}
	if f.logger == nil {
		f.logger = slog.New(slog.DiscardHandler)
	}
	if f.now == nil {
		f.now = time.Now
	}
	if f.time == 0 {
		f.time = fetchTime
	}
	if o.Config.FetchProxy != "" {
		proxy, err := url.Parse(o.Config.FetchProxy)
		if err != nil {
			return nil, fmt.Errorf("MINTKEEP_FETCH_PROXY: %w", err)
		}
		f.proxy = proxy
	}
	if _, err := f.Reload(); err != nil {
		return nil, fmt.Errorf("MINTKEEP_FETCH_CA: %w", err)
	}
	f.background, f.stop = context.WithCancel(context.Background())
	return f, nil
}

// Reload reads the file of MINTKEEP_FETCH_CA again. replaced is whether it has other roots than before. One that cannot be
// used leaves them in place.
func (f *Fetcher) Reload() (replaced bool, err error) {
	roots, err := f.cfg.FetchRoots()
	if err != nil || roots == nil {
		return false, err
	}
	before := f.roots.Swap(roots)
	return before != nil && !before.Equal(roots), nil
}

// Run renews the sets that are in use, until ctx ends. Then it closes the Fetcher.
func (f *Fetcher) Run(ctx context.Context) {
	defer f.Close()
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.sweep()
		}
	}
}

// Close aborts the fetches that are under way. What waits for them gets an error.
func (f *Fetcher) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.stop()
	f.running.Wait()
}

// Keys returns the set at uri. If it is not known, or was fetched under a marker smaller than refreshed (the time of an
// operator's last refresh, in milliseconds), it waits for a fetch. If that takes longer than ctx allows, the present set is
// returned, unless an operator has asked for a newer one. An error matches [store.ErrUnavailable]: whether a signature is
// valid is not known.
func (f *Fetcher) Keys(ctx context.Context, uri string, refreshed int64) (*jwks.Set, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entry(uri)
	e.used = true
	for {
		switch e.needs(f.now(), refreshed) {
		case nothing:
			return e.usable(f.now())
		case renewal:
			f.start(e, refreshed)
			return e.usable(f.now())
		case fetch:
		}
		fl := f.start(e, refreshed)
		if !f.wait(ctx, fl) {
			if e.marker < refreshed {
				return nil, unavailable(errWaiting)
			}
			return e.usable(f.now())
		}
		if fl.marker >= refreshed {
			return fl.outcome(e, f.now())
		}
	}
}

// Refetch returns the set at uri for a signature that no key of it verifies, or whose kid it does not have: the set may have
// changed. The first such request in a minute waits for a fetch, and those that come until it is answered. The others get
// the present set at once. An error says that it is not known yet whether the set has changed.
func (f *Fetcher) Refetch(ctx context.Context, uri string) (*jwks.Set, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entry(uri)
	now := f.now()
	if e.set == nil {
		return e.usable(now) // asked without Keys before it, or evicted since
	}
	fl := e.flight
	if fl == nil {
		if now.Before(e.refetchAt) || now.Before(e.retryAt) {
			return e.usable(now)
		}
		e.refetchAt = now.Add(refetchEvery)
		fl = f.start(e, e.tried)
	}
	if fl.waiting >= maxWaiting {
		return e.usable(now)
	}
	if !f.wait(ctx, fl) {
		return nil, unavailable(errWaiting)
	}
	return fl.outcome(e, f.now())
}

// Check fetches the set at uri now, whatever is known of it, for an operator who registers it. It takes the time of a fetch,
// whatever the deadline of ctx. The error says what is wrong, in words that follow the name of a member: "must be …", "cannot
// be fetched: …".
func (f *Fetcher) Check(ctx context.Context, uri string) error {
	if err := f.CheckURI(uri); err != nil {
		return err
	}
	a, err := f.fetch(context.WithoutCancel(ctx), uri)
	if err != nil {
		return fmt.Errorf("cannot be fetched: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entry(uri)
	e.adopt(a, e.marker)
	return nil
}

// entry is that of uri, which is then the last used. A new one takes the place of the least recently used one.
func (f *Fetcher) entry(uri string) *entry {
	if at, known := f.entries[uri]; known {
		f.recent.MoveToFront(at)
		return at.Value.(*entry)
	}
	if f.recent.Len() >= maxSets {
		f.drop(f.recent.Back())
	}
	e := &entry{uri: uri}
	f.entries[uri] = f.recent.PushFront(e)
	return e
}

func (f *Fetcher) drop(at *list.Element) {
	e := f.recent.Remove(at).(*entry)
	delete(f.entries, e.uri)
}

// sweep starts the fetches of sets that were used and are to be renewed, and drops entries that have become useless.
func (f *Fetcher) sweep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for at := f.recent.Front(); at != nil; {
		e, next := at.Value.(*entry), at.Next()
		switch {
		case e.flight != nil:
		case !e.usableAt(now) && now.Sub(e.attempted) > forgotten:
			f.drop(at)
		case e.usableAt(now) && e.used && e.needs(now, e.marker) != nothing:
			f.start(e, e.tried)
		}
		at = next
	}
}

// KeySets says what the Fetcher has, for the metrics.
func (f *Fetcher) KeySets() metrics.KeySets {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all metrics.KeySets
	now := f.now()
	for at := f.recent.Front(); at != nil; at = at.Next() {
		e := at.Value.(*entry)
		if !e.usableAt(now) {
			continue
		}
		all.Sets++
		if e.used {
			all.Oldest = max(all.Oldest, now.Sub(e.fetched))
		}
		if now.After(e.due) && e.failures > 0 {
			all.Overdue++
		}
	}
	return all
}

// unavailable is why a set is not known. It matches [store.ErrUnavailable].
func unavailable(cause error) error { return unavailableError{cause} }

// unavailableError does not say that the store is unavailable, although callers treat it so: an operator who reads it in the
// log would look at Redis.
type unavailableError struct{ cause error }

func (e unavailableError) Error() string   { return "the key set cannot be used: " + e.cause.Error() }
func (e unavailableError) Unwrap() []error { return []error{store.ErrUnavailable, e.cause} }
