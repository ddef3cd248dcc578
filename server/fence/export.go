package fence

import (
	"bytes"
	"cmp"
	"encoding/json"
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
// them, as GET /admin/audit does. Events before since are left out. unreadable are the numbers of the lines that cannot be read,
// as one that was cut short when a disk was full: what they tell of is not among the events. The error is that nothing can be read,
// or that it is no audit log.
func Read(r io.Reader, since time.Time) (events []store.Event, unreadable []int, err error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, nil, err
	}
	found := false
	for line := 1; ; {
		rest := bytes.TrimLeft(text, " \t\r\n")
		line += bytes.Count(text[:len(text)-len(rest)], []byte("\n"))
		if text = rest; len(text) == 0 {
			break
		}
		var next exported
		decoder := json.NewDecoder(bytes.NewReader(text))
		if decoder.Decode(&next) != nil { // the next line may begin an event
			unreadable = append(unreadable, line)
			_, text, _ = bytes.Cut(text, []byte("\n"))
			line++
			continue
		}
		page, ok := next.events(since)
		if !ok {
			return nil, nil, fmt.Errorf("line %d is not an event of the audit log: it has no action, or no at", line)
		}
		found, events = true, append(events, page...)
		end := decoder.InputOffset()
		line += bytes.Count(text[:end], []byte("\n"))
		text = text[end:]
	}
	if !found && len(unreadable) > 0 {
		return nil, nil, fmt.Errorf("line %d is not JSON, or not of an audit log", unreadable[0])
	}
	return events, unreadable, nil
}

// events are the event, or those of the page, from since on; not ok if there is another object among them.
func (x exported) events(since time.Time) (events []store.Event, ok bool) {
	page := []exported{x}
	if x.Items != nil {
		page = *x.Items
	}
	for _, e := range page {
		if e.Action == "" || e.At.IsZero() {
			return nil, false
		}
		if e.At.Before(since) {
			continue
		}
		e.Event.ID = e.ID
		events = append(events, e.Event)
	}
	return events, true
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
