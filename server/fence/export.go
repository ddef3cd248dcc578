package fence

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// exported is an event as an export has it, or a page of them.
type exported struct {
	ID string `json:"id"`
	store.Event
	Items *[]exported `json:"items"`
}

// Read reads an export of the audit log: events one after another, as /operator/audit.jsonl gives them, or pages of
// them, as GET /admin/audit does. Events before since are left out.
func Read(r io.Reader, since time.Time) ([]store.Event, error) {
	var events []store.Event
	decoder := json.NewDecoder(r)
	for n := 1; ; n++ {
		var next exported
		switch err := decoder.Decode(&next); {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return nil, fmt.Errorf("object %d is not JSON, or not of an audit log: %w", n, err)
		}
		page := []exported{next}
		if next.Items != nil {
			page = *next.Items
		}
		for _, e := range page {
			if e.Action == "" || e.At.IsZero() {
				return nil, fmt.Errorf("object %d is not an event of the audit log: it has no action, or no at", n)
			}
			if e.At.Before(since) {
				continue
			}
			e.Event.ID = e.ID
			events = append(events, e.Event)
		}
	}
}

// inOrder sorts events as they happened, and drops those that several exports have.
func inOrder(events []store.Event) []store.Event {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b store.Event) int {
		am, as := placeOf(a)
		bm, bs := placeOf(b)
		return cmp.Or(cmp.Compare(am, bm), cmp.Compare(as, bs))
	})
	return slices.CompactFunc(events, func(a, b store.Event) bool {
		return a.ID != "" && a.ID == b.ID && a.At.Equal(b.At) && a.Action == b.Action && a.Target == b.Target
	})
}

// placeOf is an event's place in the log: by the clock of Redis, which all events of one millisecond share, and by
// their number in it.
func placeOf(e store.Event) (ms, n uint64) {
	left, right, _ := strings.Cut(e.ID, "-")
	ms, err := strconv.ParseUint(left, 10, 64)
	if err != nil {
		return uint64(e.At.UnixMilli()), 0
	}
	n, _ = strconv.ParseUint(right, 10, 64)
	return ms, n
}
