package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// probeLifetime is how long the reports of a probe are kept after the last one.
	probeLifetime = time.Minute
	// reportGuards is how many guards one entry of the reports has.
	reportGuards = 1_000
)

// probeKey is in the slot of the feed, so that one server's clock tells all times of a probe.
func probeKey(id string) string { return guardsKey + ":probe:{" + feedKey + "}:" + id }

// ProbedGuard is what a replica says of one guard in a report about a probe.
type ProbedGuard struct {
	ClientID string        `json:"c"`
	Instance string        `json:"i,omitempty"`
	Lease    time.Duration `json:"l,omitempty"`
	Heard    time.Duration `json:"h"` // since it was heard of last, at the time of the report
	// Passed is the time since it passed the probe, likewise. Nil: it has not.
	Passed *time.Duration `json:"p,omitempty"`
}

// ProbeReport is what one replica says of guards about a probe.
type ProbeReport struct {
	Replica string        `json:"r,omitempty"` // empty: the first entry, which opens the probe
	Guards  []ProbedGuard `json:"g,omitempty"`
	Full    bool          `json:"f,omitempty"` // there are more guards than were counted

	At time.Duration `json:"-"` // since the probe was opened
}

// ProbeReports are those of one probe.
type ProbeReports struct {
	Reports []ProbeReport
	Age     time.Duration // since the probe was opened
	opened  uint64        // milliseconds, by Redis's clock
	last    string        // the id of the last entry that was read
}

// OpenProbe makes a place for the reports about a probe. It comes before the entry of the feed, so that a replica that reads that
// finds it.
func (s *Store) OpenProbe(ctx context.Context, id string) error {
	return s.ReportProbe(ctx, id, ProbeReport{})
}

// IsProbe is whether there is such a probe, and it is not over for a minute.
func (s *Store) IsProbe(ctx context.Context, id string) (bool, error) {
	n, err := s.rdb.Exists(ctx, probeKey(id)).Result()
	return n > 0, unavailable("look up a probe", err)
}

// ReportProbe adds a report.
func (s *Store) ReportProbe(ctx context.Context, id string, report ProbeReport) error {
	key := probeKey(id)
	_, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error { // a report that comes late must not leave a key that stays
		parts := slices.Collect(slices.Chunk(report.Guards, reportGuards))
		if len(parts) == 0 {
			parts = append(parts, nil)
		}
		for _, part := range parts {
			report.Guards = part
			p.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"e", encodeRecord(report)}})
		}
		p.PExpire(ctx, key, probeLifetime)
		return nil
	})
	return unavailable("report about a probe", err)
}

// ReadProbe reads the reports about a probe that were added since before, which may be nil. ErrNotFound if there is no such
// probe, or if it is over for a minute.
func (s *Store) ReadProbe(ctx context.Context, id string, before *ProbeReports) (*ProbeReports, error) {
	const op = "read a probe"
	p := ProbeReports{last: "-"}
	from := "-"
	if before != nil {
		p, from = *before, "("+before.last
	}
	p.Reports = nil
	var entries *redis.XMessageSliceCmd
	var left *redis.DurationCmd
	if _, err := s.rdb.TxPipelined(ctx, func(t redis.Pipeliner) error { // together, so that the time left is since the newest entry
		entries = t.XRange(ctx, probeKey(id), from, "+")
		left = t.PTTL(ctx, probeKey(id))
		return nil
	}); err != nil {
		return nil, unavailable(op, err)
	}
	if left.Val() < 0 {
		return nil, fmt.Errorf("probe %q: %w", id, ErrNotFound)
	}
	for i, m := range entries.Val() {
		at, err := streamTime(m.ID)
		if err != nil {
			return nil, unavailable(op, err)
		}
		if before == nil && i == 0 {
			p.opened = at
		}
		var r ProbeReport
		text, _ := m.Values["e"].(string)
		if err := decodeRecord(text, &r); err != nil {
			return nil, err
		}
		r.At = sinceOpened(at, p.opened)
		p.Reports = append(p.Reports, r)
		p.last = m.ID
	}
	at, err := streamTime(p.last)
	if err != nil {
		return nil, unavailable(op, err)
	}
	p.Age = sinceOpened(at, p.opened) + max(0, probeLifetime-left.Val())
	return &p, nil
}

// streamTime is the time in the id of an entry.
func streamTime(id string) (uint64, error) {
	ms, _, _ := strings.Cut(id, "-")
	return strconv.ParseUint(ms, 10, 64)
}

func sinceOpened(at, opened uint64) time.Duration {
	return time.Duration(max(at, opened)-opened) * time.Millisecond
}
