package store

import (
	"slices"
	"sync"
	"time"
)

const (
	// journalKept is how long an end is remembered, and journalSize how many are at most.
	journalKept = 15 * time.Minute
	journalSize = 1 << 14
	// pageTime and pageSize are when a page of the journal is full. It is forgotten as a whole.
	pageTime = time.Minute
	pageSize = journalSize / 16
)

// journal has the ends that this replica has carried out, so that they can be repeated when Redis has lost them.
//
// An end is open until a pulse has repeated it and, behind it on the same connection, written its mark: from then on
// Redis has lost the end only if it has lost the mark. Those that may be repeated at any time are; of the others the
// sign tells whether what was ended is still there, be it that a newer life began through another replica.
type journal struct {
	mu    sync.Mutex
	pages []page   // oldest first; none before the first pulse
	open  []ending // of all pages, oldest first
	size  int
	torn  bool // an end had no room
}

// page is what was ended from the moment on when floor was what the pulse counts were. All that is in the pages
// before is written down in Redis behind lower ones.
type page struct {
	since time.Time
	floor []int64
	ends  []ending
}

// begin starts anew, with a page of what is remembered, if anything is: a store that is fenced may have lost all of it.
func (j *journal) begin(now time.Time, floor []int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reopenAll()
	j.pages = []page{{since: now, floor: floor, ends: slices.Clone(j.open)}}
	j.size, j.torn = len(j.open), false
}

// note remembers ends that were carried out, or perhaps were. It says whether there is something to write down now.
func (j *journal) note(ends ...ending) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.pages) == 0 { // what was ended before the first pulse is behind its mark
		return false
	}
	noted := false
	for _, e := range ends {
		if e.sign != "" && e.was == "" && e.args[0] != "del" { // there was nothing to take away
			continue
		}
		if j.size >= journalSize {
			j.torn = true
			break
		}
		p := &j.pages[len(j.pages)-1]
		p.ends = append(p.ends, e)
		j.open = append(j.open, e)
		j.size++
		noted = true
	}
	return noted
}

// undo forgets the removals of this sign, but for those of a life that has just begun. One that is open stays so: until
// the next pulse, which counts on its place, and finds the newer life.
func (j *journal) undo(key, sign, begun string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	undone := func(e ending) bool {
		return e.key() == key && e.args[0] == "hdel" && e.sign == sign && e.was != begun
	}
	j.size = 0
	for i, p := range j.pages {
		j.pages[i].ends = slices.DeleteFunc(p.ends, undone)
		j.size += len(j.pages[i].ends)
	}
}

// next is what the next pulse repeats: the oldest, at most so many.
func (j *journal) next(most int) []ending {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.open[:min(most, len(j.open))])
}

// settle tells which of the next are written down, and says how many ends are still open.
func (j *journal) settle(written []bool) (open int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := j.open[:0:0]
	for i, e := range j.open[:min(len(written), len(j.open))] {
		if !written[i] {
			kept = append(kept, e)
		}
	}
	j.open = append(kept, j.open[min(len(written), len(j.open)):]...)
	return len(j.open)
}

// reopen has everything repeated that is remembered, and says how much that is.
func (j *journal) reopen() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reopenAll()
	return len(j.open)
}

func (j *journal) reopenAll() {
	j.open = nil
	for _, p := range j.pages {
		j.open = append(j.open, p.ends...)
	}
}

// owes is whether an end is open that somebody was told of, in one of these parts.
func (j *journal) owes(in func(key string) bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.open, func(e ending) bool { return !e.untold && in(e.key()) })
}

// reaches is whether every end is remembered that a Redis with this pulse count, in one of its parts, may have lost.
func (j *journal) reaches(part int, n int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.pages) > 0 && !j.torn && n >= j.pages[0].floor[part]
}

// turn begins a new page when the last one is full, and forgets old ones. It is called after a pulse that left
// nothing open, with its counts.
func (j *journal) turn(now time.Time, floor []int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	last := &j.pages[len(j.pages)-1]
	if len(j.open) > 0 || !j.torn && now.Sub(last.since) < pageTime && len(last.ends) < pageSize {
		return
	}
	if j.torn {
		j.pages, j.size, j.torn = nil, 0, false
	}
	j.pages = append(j.pages, page{since: now, floor: floor})
	for len(j.pages) > 1 && (now.Sub(j.pages[1].since) >= journalKept || j.size > journalSize-pageSize) {
		j.size -= len(j.pages[0].ends)
		j.pages = j.pages[1:]
	}
}
