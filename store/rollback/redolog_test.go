package rollback

import (
	"fmt"
	"testing"
	"time"
)

func keyEntry(key string) Entry { return Entry{Deletion: OfKey(key)} }

func noteMany(l *redoLog, n int) {
	for i := range n {
		l.note(keyEntry(fmt.Sprint("mk:t:", i)))
	}
}

func settleAll(l *redoLog) int { return l.settle(0, coverAll(len(l.next(0, MaxEntries)))) }

func coverAll(n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = true
	}
	return all
}

// A redo log restores all that was lost or nothing: it knows how far back it reaches, by its age and by its size.
func TestRedoLogReach(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name     string
		segments int           // that are filled
		entries  int           // in each
		after    time.Duration // each
		want     map[int64]bool
	}{
		{"nothing revoked", 1, 0, time.Second, map[int64]bool{0: true, 1: true}},
		{"a quarter of an hour", 20, 1, segmentTime, map[int64]bool{1: false, 3: false, 6: true, 20: true}},
		{"many", 20, segmentSize, time.Second, map[int64]bool{1: false, 3: false, 8: true, 20: true}},
		{"too many at once", 1, MaxEntries + 1, time.Second, map[int64]bool{0: false, 1: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, now := &redoLog{}, start
			if l.note(keyEntry("x")); len(l.next(0, 1)) > 0 || l.reaches(0, 0) {
				t.Error("it remembers before the first heartbeat")
			}
			l.begin(now, []int64{0})
			for i := range tt.segments {
				noteMany(l, tt.entries)
				if full := tt.entries > MaxEntries; l.isFull() != full {
					t.Errorf("full: %v, want %v", l.isFull(), full)
				}
				now = now.Add(tt.after)
				if pending := settleAll(l); pending != 0 || l.isFull() {
					t.Errorf("%d entries are pending after all are covered; full: %v", pending, l.isFull())
				}
				l.startSegment(now, []int64{int64(i + 1)})
			}
			for n, want := range tt.want {
				if got := l.reaches(0, n); got != want {
					t.Errorf("reaches a loss at %d: %v, want %v", n, got, want)
				}
			}
			if l.size > MaxEntries || l.replayAll() != l.size {
				t.Errorf("%d entries are remembered, %d pending again, want as many, and at most %d", l.size, len(l.pending), MaxEntries)
			}
		})
	}
}

// What is not covered stays pending, in its order, and later entries follow it.
func TestRedoLogPending(t *testing.T) {
	l := &redoLog{}
	l.begin(time.Time{}, []int64{0})
	noteMany(l, 4)
	first := l.next(0, 3)
	l.note(keyEntry("late"))
	if pending := l.settle(0, []bool{true, false, true}); pending != 3 {
		t.Errorf("%d pending, want 3", pending)
	}
	for i, want := range []string{first[1].key, "mk:t:3", "late"} {
		if got := l.next(0, 3)[i].key; got != want {
			t.Errorf("pending entry %d: %s, want %s", i, got, want)
		}
	}
	if noted, _ := l.note(Entry{Deletion: OfFields("mk:p:x", "on").While("on", "")}); noted {
		t.Error("a deletion of nothing is noted")
	}
	if pending := l.settle(1, []bool{true}); pending != 2 || l.next(1, 3)[0].key != "late" {
		t.Errorf("of those behind the first one is settled: %d pending, the second is %v", pending, l.next(1, 3))
	}
}

// Covered entries make room for pending ones. Only when all are pending, there is no room.
func TestRedoLogRoom(t *testing.T) {
	l := &redoLog{}
	l.begin(time.Time{}, []int64{0})
	noteMany(l, segmentSize)
	settleAll(l)
	l.startSegment(time.Time{}, []int64{1})
	noteMany(l, MaxEntries)
	if l.isFull() || len(l.pending) != MaxEntries || l.reaches(0, 0) || !l.reaches(0, 1) {
		t.Errorf("full: %v, %d pending, reaches back to the start: %v, to the second segment: %v", l.isFull(), len(l.pending), l.reaches(0, 0), l.reaches(0, 1))
	}
	if noted, room := l.note(keyEntry("one more")); noted || room || !l.isFull() {
		t.Errorf("one more: noted %v, room %v", noted, room)
	}
}
