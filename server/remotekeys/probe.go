package remotekeys

import (
	"context"
	"fmt"
	"time"
)

// A Report is what a fetch found, for mintkeep doctor.
type Report struct {
	Keys  int
	Kept  time.Duration // how long the set would be kept
	Age   time.Duration // how long a cache in between has kept it
	Ahead time.Duration // how far the clock of the key server is ahead of this machine; negative: behind
	Clock bool          // whether the key server tells its time
}

// Probe fetches the set at uri now, as Check does, and keeps nothing. It gives up when ctx ends.
func (f *Fetcher) Probe(ctx context.Context, uri string) (*Report, error) {
	if err := f.CheckURI(uri); err != nil {
		return nil, fmt.Errorf("the URL %w", err)
	}
	a, err := f.fetch(ctx, uri)
	if err != nil {
		return nil, err
	}
	r := &Report{Keys: len(a.set.Keys), Kept: a.lifetime, Age: a.age, Clock: !a.date.IsZero()}
	// Date has whole seconds (RFC 9110 §5.6.7), and was written between the request and the answer.
	switch written := a.date.Add(a.age); {
	case !r.Clock:
	case written.Add(time.Second).Before(a.asked):
		r.Ahead = written.Sub(a.asked)
	case written.After(a.answered):
		r.Ahead = written.Sub(a.answered)
	}
	return r, nil
}
