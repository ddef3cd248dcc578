package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	followEvery = time.Second
	// followWait is the longest wait between two polls while the server cannot be asked.
	followWait = 30 * time.Second
	// followOverlap is how far each poll reaches back behind the one before it. The clocks of replicas and of the primaries of
	// a cluster may differ, so that an event may come to light behind others that are younger.
	followOverlap = 2 * time.Minute
)

// follower prints the events of the audit log as they are recorded. The API lists them newest first, so each poll reads
// until it meets a page that it knows.
type follower struct {
	p      process
	admin  *api
	filter url.Values
	seen   map[[sha256.Size]byte]time.Time // when each event was seen first
	polled time.Time                       // when the last successful poll began; zero: there was none
}

func newFollower(p process, admin *api, filter url.Values) *follower {
	return &follower{p: p, admin: admin, filter: filter, seen: map[[sha256.Size]byte]time.Time{}}
}

// run returns nil when ctx is done, by which the user ends it.
func (f *follower) run(ctx context.Context) error {
	wait := followEvery
	for {
		switch err := f.poll(ctx); {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // what failed then is no failure
		case err == nil:
			wait = followEvery
		case !f.passes(err):
			return err
		default:
			if wait == followEvery { // once for each outage
				warn(f.p, []string{err.Error() + "; trying again"})
			}
			wait = min(2*wait, followWait)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// passes is whether the next poll may succeed after this error: the server is overloaded or has no Redis, or a server that
// has answered before cannot be reached.
func (f *follower) passes(err error) bool {
	if rejected := (*apiError)(nil); errors.As(err, &rejected) {
		return rejected.Status == http.StatusTooManyRequests || rejected.Status >= http.StatusInternalServerError
	}
	return !f.polled.IsZero() && !errors.Is(err, errOutput)
}

// errOutput: the standard output takes no more.
var errOutput = errors.New("the output is incomplete")

// poll prints what has been recorded since the last poll. The first prints what --since asks for.
func (f *follower) poll(ctx context.Context) error {
	began, first := f.p.now(), f.polled.IsZero()
	reach := followOverlap
	if !first {
		reach += began.Sub(f.polled).Truncate(time.Second) // by our clock, as a duration by the server's
	}
	filter := f.filter
	if !first || !filter.Has("since") {
		filter = maps.Clone(filter)
		filter.Set("since", reach.String())
	}
	lines, err := f.unseen(ctx, filter, began)
	if err != nil {
		return err
	}
	f.polled = began
	maps.DeleteFunc(f.seen, func(_ [sha256.Size]byte, at time.Time) bool { return began.Sub(at) > reach+followOverlap })
	if first && !f.filter.Has("since") {
		return nil // what was recorded before the command began
	}
	if _, err := f.p.stdout.Write(bytes.Join(lines, nil)); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// unseen are the events that no poll has met, the oldest first. If it fails, they are still unseen.
func (f *follower) unseen(ctx context.Context, filter url.Values, now time.Time) (lines [][]byte, err error) {
	fresh := map[[sha256.Size]byte]time.Time{}
	for page, err := range f.admin.pages(ctx, "/admin/audit", filter) {
		if err != nil {
			return nil, err
		}
		known := 0
		for _, event := range page.Items {
			var line bytes.Buffer
			if err := json.Compact(&line, event); err != nil {
				return nil, err
			}
			digest := sha256.Sum256(line.Bytes())
			if _, seen := f.seen[digest]; seen {
				known++
				continue
			}
			if _, seen := fresh[digest]; !seen {
				fresh[digest] = now
				lines = append(lines, append(line.Bytes(), '\n'))
			}
		}
		if known > 0 && known == len(page.Items) {
			break // the pages behind it are older still
		}
	}
	maps.Copy(f.seen, fresh)
	slices.Reverse(lines)
	return lines, nil
}
