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

	reopened bool // since nothing was open: what is open need not be of the last page
	full     bool // an end had no room
	doubts   []*doubtful
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
	j.size = len(j.open)
}

// note remembers ends that were carried out, or perhaps were. It says whether there is something to write down now, and
// whether there was room for all.
func (j *journal) note(ends ...ending) (noted, room bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.pages) == 0 { // what was ended before the first pulse is behind its mark
		return false, true
	}
	for _, e := range ends {
		if e.sign != "" && e.was == "" && e.args[0] != "del" { // there was nothing to take away
			continue
		}
		if !j.makeRoom() {
			return noted, false
		}
		p := &j.pages[len(j.pages)-1]
		p.ends = append(p.ends, e)
		j.open = append(j.open, e)
		j.size++
		noted = true
	}
	return noted, true
}

// makeRoom forgets old pages, if what is in them is written down.
func (j *journal) makeRoom() bool {
	for j.size >= journalSize && len(j.pages) > 1 && !j.reopened {
		j.forgetPage()
	}
	if j.size >= journalSize {
		j.full = true
		return false
	}
	return true
}

func (j *journal) forgetPage() {
	j.size -= len(j.pages[0].ends)
	j.pages = j.pages[1:]
}

// isFull is whether an end was carried out that is not remembered, nor written down yet.
func (j *journal) isFull() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.full
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

// next is what is to be repeated: the oldest of those that are open but for the first few, at most so many.
func (j *journal) next(from, most int) []ending {
	j.mu.Lock()
	defer j.mu.Unlock()
	from = min(from, len(j.open))
	return slices.Clone(j.open[from:min(from+most, len(j.open))])
}

// settle tells which of the next are written down, and says how many ends are still open.
func (j *journal) settle(from int, written []bool) (open int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	from = min(from, len(j.open))
	end := min(from+len(written), len(j.open))
	kept := slices.Clone(j.open[:from])
	for i, e := range j.open[from:end] {
		if !written[i] {
			kept = append(kept, e)
		}
	}
	j.open = append(kept, j.open[end:]...)
	if len(j.open) == 0 {
		j.reopened, j.full = false, false
	}
	return len(j.open)
}

// opens is whether there is something to write down.
func (j *journal) opens() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.open) > 0
}

// reopen has everything repeated that is remembered, and says how much that is.
func (j *journal) reopen() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reopenAll()
	return len(j.open)
}

func (j *journal) reopenAll() {
	j.open, j.reopened = nil, true
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
	return len(j.pages) > 0 && n >= j.pages[0].floor[part]
}

// turn begins a new page when the last one is full, and forgets old ones. It is called after a pulse that left
// nothing open, with its counts.
func (j *journal) turn(now time.Time, floor []int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	last := &j.pages[len(j.pages)-1]
	if len(j.open) > 0 || now.Sub(last.since) < pageTime && len(last.ends) < pageSize {
		return
	}
	j.pages = append(j.pages, page{since: now, floor: floor})
	for len(j.pages) > 1 && (now.Sub(j.pages[1].since) >= journalKept || j.size > journalSize-pageSize) {
		j.forgetPage()
	}
}
