package store

import (
	"fmt"
	"testing"
	"time"
)

func noteMany(j *journal, n int) {
	for i := range n {
		j.note(deletion(fmt.Sprint("mk:t:", i)))
	}
}

func settleAll(j *journal) int { return j.settle(0, markAll(len(j.next(0, journalSize)))) }

func markAll(n int) []bool {
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
		name  string
		pages int           // that are filled
		ends  int           // in each
		after time.Duration // each
		want  map[int64]bool
	}{
		{"nothing ended", 1, 0, time.Second, map[int64]bool{0: true, 1: true}},
		{"a quarter of an hour", 20, 1, pageTime, map[int64]bool{1: false, 3: false, 6: true, 20: true}},
		{"many", 20, pageSize, time.Second, map[int64]bool{1: false, 3: false, 8: true, 20: true}},
		{"too many at once", 1, journalSize + 1, time.Second, map[int64]bool{0: false, 1: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, now := &journal{}, start
			if j.note(deletion("x")); len(j.next(0, 1)) > 0 || j.reaches(0, 0) {
				t.Error("it remembers before the first heartbeat")
			}
			j.begin(now, []int64{0})
			for i := range tt.pages {
				noteMany(j, tt.ends)
				if full := tt.ends > journalSize; j.isFull() != full {
					t.Errorf("full: %v, want %v", j.isFull(), full)
				}
				now = now.Add(tt.after)
				if open := settleAll(j); open != 0 || j.isFull() {
					t.Errorf("%d ends are open after all are written down; full: %v", open, j.isFull())
				}
				j.turn(now, []int64{int64(i + 1)})
			}
			for n, want := range tt.want {
				if got := j.reaches(0, n); got != want {
					t.Errorf("reaches a loss at %d: %v, want %v", n, got, want)
				}
			}
			if j.size > journalSize || j.reopen() != j.size {
				t.Errorf("%d ends are remembered, %d open again, want as many, and at most %d", j.size, len(j.open), journalSize)
			}
		})
	}
}

// What is not covered stays pending, in its order, and later entries follow it.
func TestRedoLogPending(t *testing.T) {
	j := &journal{}
	j.begin(time.Time{}, []int64{0})
	noteMany(j, 4)
	first := j.next(0, 3)
	j.note(deletion("late"))
	if open := j.settle(0, []bool{true, false, true}); open != 3 {
		t.Errorf("%d open, want 3", open)
	}
	for i, want := range []string{first[1].key(), "mk:t:3", "late"} {
		if got := j.next(0, 3)[i].key(); got != want {
			t.Errorf("open end %d: %s, want %s", i, got, want)
		}
	}
	if noted, _ := j.note(removal("mk:p:x", onField).while(onField, "")); noted {
		t.Error("an end that took nothing away is noted")
	}
	if open := j.settle(1, []bool{true}); open != 2 || j.next(1, 3)[0].key() != "late" {
		t.Errorf("of those behind the first one is settled: %d open, the second is %v", open, j.next(1, 3))
	}
}

// Covered entries make room for pending ones. Only when all are pending, there is no room.
func TestRedoLogRoom(t *testing.T) {
	j := &journal{}
	j.begin(time.Time{}, []int64{0})
	noteMany(j, pageSize)
	settleAll(j)
	j.turn(time.Time{}, []int64{1})
	noteMany(j, journalSize)
	if j.isFull() || len(j.open) != journalSize || j.reaches(0, 0) || !j.reaches(0, 1) {
		t.Errorf("full: %v, %d open, reaches back to the start: %v, to the second page: %v", j.isFull(), len(j.open), j.reaches(0, 0), j.reaches(0, 1))
	}
	if noted, room := j.note(deletion("one more")); noted || room || !j.isFull() {
		t.Errorf("one more: noted %v, room %v", noted, room)
	}
}
