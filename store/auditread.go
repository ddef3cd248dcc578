package store

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// eventReader reads a stream backwards, some events at a time.
type eventReader struct {
	key     string
	number  int
	from    string // where the next part begins
	to      string // where the stream ends for this reader
	chunk   int64  // how many it has
	entries []redis.XMessage
	done    bool // nothing is left behind the entries
}

// eventChunk is how many events are read of a stream at once, at most. The first part is the stream's share of a page, and
// each further one is twice as large: most pages need little of most streams.
const eventChunk = 500

// readers begin to read the streams of a filter, behind the last page.
func (f EventFilter) readers() ([]*eventReader, error) {
	var all []*eventReader
	streams := f.streams()
	share := int64(f.Limit/len(streams) + 1)
	for i, st := range streams {
		all = append(all, &eventReader{key: st.key, number: i, from: "+", to: f.oldest(), chunk: min(share, eventChunk)})
	}
	if f.After == "" {
		return all, nil
	}
	after, err := parseEventPosition(f.After)
	if err != nil {
		return nil, err
	}
	for i, r := range all {
		if r.from = "(" + after.id(); i > after.stream {
			r.from = after.id() // the page before ended with an event of another stream
		}
	}
	return all, nil
}

// oldest is the ID at which a listing ends. An ID has the time of Redis, in whose order the events are; the time in an event is that
// of its replica, whose clock may be behind.
func (f EventFilter) oldest() string {
	if f.Since.IsZero() {
		return "-"
	}
	return strconv.FormatInt(max(f.Since.Add(-clockSkew).UnixMilli(), 0), 10)
}

// Events lists events of all streams, newest first. next is empty behind the last page; a page may be short, even
// empty, before.
func (s *Store) Events(ctx context.Context, f EventFilter) (page []Event, next string, err error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	readers, err := f.readers()
	if err != nil {
		return nil, "", err
	}
	for range eventsScanned {
		if err := s.fillEvents(ctx, readers); err != nil {
			return nil, "", err
		}
		r, at, err := newestEvent(readers)
		if r == nil || err != nil {
			return page, "", err
		}
		e, err := decodeEvent(r.entries[0])
		if err != nil {
			return nil, "", err
		}
		r.entries, r.from, next = r.entries[1:], "("+e.ID, at.String()
		if f.wants(e) {
			page = append(page, e)
		}
		if len(page) == f.Limit {
			return page, next, nil
		}
	}
	return page, next, nil
}

// fillEvents reads more of the streams of which nothing is left to look at, in one round trip.
func (s *Store) fillEvents(ctx context.Context, readers []*eventReader) error {
	cmds := map[*eventReader]*redis.XMessageSliceCmd{}
	for _, r := range readers {
		if len(r.entries) == 0 && !r.done {
			cmds[r] = nil
		}
	}
	if len(cmds) == 0 {
		return nil
	}
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for r := range cmds {
			cmds[r] = p.XRevRangeN(ctx, r.key, r.from, r.to, r.chunk)
		}
		return nil
	}); err != nil {
		return unavailable("read audit", err)
	}
	for r, cmd := range cmds {
		r.entries = cmd.Val()
		r.done = int64(len(r.entries)) < r.chunk
		r.chunk = min(2*r.chunk, eventChunk)
	}
	return nil
}

// newestEvent is the reader with the newest event, and where that is; nil if there is none.
func newestEvent(readers []*eventReader) (newest *eventReader, at eventPosition, err error) {
	for _, r := range readers {
		if len(r.entries) == 0 {
			continue
		}
		p, err := parseEventPosition(r.entries[0].ID)
		if err != nil {
			return nil, at, unavailable("read audit", err)
		}
		if p.stream = r.number; newest == nil || p.newer(at) {
			newest, at = r, p
		}
	}
	return newest, at, nil
}
