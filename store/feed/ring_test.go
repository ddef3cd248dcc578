package feed

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// ringOf is a ring with one entry per field, at the ids 1-0, 2-0, and so on. The tag of the entry n is n.
func ringOf(fields ...string) *ring {
	r := &ring{}
	for i, field := range fields {
		name, value, _ := strings.Cut(field, " ")
		e := entry{Cursor: cursorAt(uint64(i + 1)), field: name, value: value}
		if hasVoids(name) {
			e.voids = []Handle{OfClient(value)}
		}
		r.add(e)
	}
	return r
}

func cursorAt(n uint64) Cursor { return Cursor{entryID{n, 0}, tag{byte(n)}} }

func TestCursorContinues(t *testing.T) {
	r := ringOf("v a", "m one", "v b", "v c")
	for name, tt := range map[string]struct {
		cursor Cursor
		want   bool
	}{
		"the newest entry":                 {cursorAt(4), true},
		"an entry behind the mark":         {cursorAt(3), true},
		"the mark":                         {cursorAt(2), true},
		"an entry before the mark":         {cursorAt(1), false},
		"the right id with another tag":    {Cursor{entryID{4, 0}, tag{9}}, false},
		"the right tag with another id":    {Cursor{entryID{4, 1}, tag{4}}, false},
		"ahead of what was read":           {cursorAt(5), false},
		"an entry that was trimmed before": {Cursor{entryID{0, 7}, tag{7}}, false},
	} {
		if _, got := r.find(tt.cursor); got != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if !r.isAhead(cursorAt(5)) || r.isAhead(cursorAt(4)) {
		t.Error("only what is behind the newest entry is ahead")
	}
	if r.add(entry{Cursor: cursorAt(5), field: breakField}); r.continues(4) {
		t.Error("a break lets cursors continue")
	}
}

func TestCursorText(t *testing.T) {
	c := Cursor{entryID{1 << 40, 7}, newTag()}
	if got, ok := ParseCursor(c.String()); !ok || got != c {
		t.Errorf("got %v, %v", got, ok)
	}
	for name, text := range map[string]string{
		"empty": "", "truncated": c.String()[:31], "longer": c.String() + "A", "not base64url": strings.Repeat("+", 32),
		"padded": base64.URLEncoding.EncodeToString(make([]byte, 23)), "random": "rutabaga",
	} {
		if _, ok := ParseCursor(text); ok {
			t.Errorf("%s: %q is a cursor", name, text)
		}
	}
}

// The positions of an earlier ring do not continue in a later one.
func TestRingIsRestarted(t *testing.T) {
	r := ringOf("m one", "v a")
	epoch := r.epoch
	r.restart()
	if r.epoch == epoch || r.newest() != nil || r.replication != "" {
		t.Errorf("after a restart the ring is %+v", r)
	}
}

// What is dropped of the ring no longer continues, and the rest does.
func TestRingIsTrimmed(t *testing.T) {
	r := &ring{}
	for i := range uint64(maxRing + 1) {
		r.add(entry{Cursor: cursorAt(i + 1), field: voidsField, voids: []Handle{OfClient(fmt.Sprint(i))}})
	}
	kept := uint64(len(r.entries))
	if kept > maxRing || r.handles != int(kept) || r.first != maxRing+1-kept {
		t.Fatalf("%d entries, %d handles, first %d", kept, r.handles, r.first)
	}
	if _, ok := r.find(cursorAt(r.first)); ok || r.continues(r.first) {
		t.Error("the last entry that was dropped continues")
	}
	if behind, ok := r.find(cursorAt(r.first + 1)); !ok || len(r.since(behind).voids.handles) != maxAnswer {
		t.Error("the oldest entry that was kept does not continue")
	}
	many := &ring{}
	for i := range uint64(3 + maxRingHandles/maxEntryHandles) {
		many.add(entry{Cursor: cursorAt(i + 1), field: voidsField, voids: make([]Handle, maxEntryHandles)})
	}
	if many.handles > maxRingHandles {
		t.Errorf("%d handles are kept", many.handles)
	}
}

// An answer has at most 4,096 handles, each once, and the next one goes on behind it.
func TestAnswersHaveEachHandleOnce(t *testing.T) {
	r := ringOf("m one")
	var want []Handle
	for i := range 60 {
		e := entry{Cursor: cursorAt(uint64(i + 2)), field: voidsField, voids: []Handle{OfClient("again")}}
		for j := range 100 {
			h := OfClient(fmt.Sprint(i, j))
			e.voids, want = append(e.voids, h), append(want, h)
		}
		r.add(e)
	}
	var got []Handle
	parts, from := 0, uint64(1)
	for more := true; more; parts++ {
		p := r.since(from)
		if again := r.since(from); again.voids != p.voids {
			t.Error("the same answer is made twice")
		}
		if len(p.voids.handles) > maxAnswer {
			t.Errorf("%d handles", len(p.voids.handles))
		}
		got = append(got, p.voids.handles...)
		more, from = p.more, p.to
	}
	again := func(h Handle) bool { return h == OfClient("again") }
	if parts != 2 || from != r.end() || len(slices.DeleteFunc(slices.Clone(got), func(h Handle) bool { return !again(h) })) != 2 {
		t.Errorf("%d answers up to %d of %d", parts, from, r.end())
	}
	if !slices.Equal(slices.DeleteFunc(got, again), want) {
		t.Error("the answers have not all handles in their order")
	}
}

// An answer that has not all says nothing about the look that has.
func TestPartIsNotFresh(t *testing.T) {
	f := newFeed(Options{})
	f.ring = *ringOf("m one", "v a", "v b")
	now := time.Now()
	f.trouble, f.last = nil, looked{now.Add(5 * time.Millisecond), 3}
	q := Question{Arrived: now}
	if all, part := f.fresh(q, 3), f.fresh(q, 2); all != 5*time.Millisecond || part >= 0 {
		t.Errorf("fresh is %s with all and %s with a part", all, part)
	}
	if late := f.fresh(Question{Arrived: now.Add(6 * time.Millisecond)}, 3); late >= 0 {
		t.Errorf("fresh is %s by a look from before the arrival", late)
	}
	if _, _, counts := f.hasLooked(q); !counts {
		t.Error("a look from behind the arrival does not count")
	}
	f.trouble = errBehind
	if _, _, counts := f.hasLooked(q); counts || f.fresh(q, 3) >= 0 {
		t.Error("it counts when the next one was at another Redis")
	}
}

// The replication id is known by the newest mark, or, if that was trimmed, by an entry that restates it.
func TestReplicationIsRestated(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   string
	}{
		{[]string{"v a", "k one"}, "one"},
		{[]string{"m one", "k one"}, "one"},
		{[]string{"m two", "k one"}, disputed},
		{[]string{"m two", "k one", "k two"}, disputed},
		{[]string{"m two", "k one", "m two"}, "two"},
		{[]string{"v a"}, ""},
	} {
		r := ringOf(tt.fields...)
		if r.replication != tt.want {
			t.Errorf("%v: %q, want %q", tt.fields, r.replication, tt.want)
		}
	}
	if r := ringOf("m one", "v a", "k one"); !r.continues(2) {
		t.Error("a restated id resets")
	}
}

// A repetition of what guards were told is dropped. In a cluster the deletion may have been lost, and guards may have asked,
// since they were told.
func TestRepetitions(t *testing.T) {
	r := ringOf("m one", "v a", "a a", "a b", "a b")
	if p := r.since(1); len(p.voids.handles) != 2 || r.handles != 2 || p.to != r.end() {
		t.Errorf("%+v", p)
	}
	if p := r.since(3); len(p.voids.handles) != 1 {
		t.Errorf("behind the first of them: %+v", p)
	}
	sharded := &ring{sharded: true}
	sharded.restart()
	for _, e := range ringOf("m one", "v a").entries {
		sharded.add(e)
	}
	sharded.add(entry{Cursor: cursorAt(3), field: repeatField, voids: []Handle{OfClient("a")}})
	if p := sharded.since(2); len(p.voids.handles) != 1 {
		t.Errorf("in a cluster: %+v", p)
	}
}

// What strangers cause wakes no one. It is told all the same, also of what guards were told before.
func TestVoidsThatWakeNoOne(t *testing.T) {
	f := newFeed(Options{})
	f.ring = *ringOf("m one", "v a", "l a", "l b")
	if p := f.ring.since(2); len(p.voids.handles) != 2 || !p.read.IsZero() || f.wakesSince(2) || !f.wakesSince(1) {
		t.Errorf("%+v, wakes %v", p, f.wakesSince(2))
	}
}

func TestEntryIsRead(t *testing.T) {
	h := OfClient("billing")
	for name, tt := range map[string]struct {
		values map[string]any
		want   string
	}{
		"voids":                    {map[string]any{"t": "12345678", "v": string(h[:])}, voidsField},
		"voids that wake no one":   {map[string]any{"t": "12345678", "l": string(h[:])}, laterField},
		"repeated voids":           {map[string]any{"t": "12345678", "a": string(h[:])}, repeatField},
		"a mark":                   {map[string]any{"t": "12345678", "m": "one"}, markField},
		"a restated id":            {map[string]any{"t": "12345678", "k": "one"}, restateField},
		"a probe":                  {map[string]any{"t": "12345678", "p": "1"}, probeField},
		"a break":                  {map[string]any{"t": "12345678", "r": "1"}, breakField},
		"of a newer version":       {map[string]any{"t": "12345678", "z": "1"}, breakField},
		"more than one field":      {map[string]any{"t": "12345678", "k": "one", "v": string(h[:])}, breakField},
		"without a tag":            {map[string]any{"v": string(h[:])}, breakField},
		"with a short tag":         {map[string]any{"t": "1234567", "v": string(h[:])}, breakField},
		"half a handle":            {map[string]any{"t": "12345678", "v": string(h[:8])}, breakField},
		"no handle":                {map[string]any{"t": "12345678", "v": ""}, breakField},
		"more handles than may be": {map[string]any{"t": "12345678", "v": strings.Repeat(string(h[:]), 257)}, breakField},
		"nothing":                  {nil, breakField},
	} {
		e, err := parseEntry(redis.XMessage{ID: "7-1", Values: tt.values}, time.Now())
		if err != nil || e.field != tt.want || e.id != (entryID{7, 1}) || hasVoids(tt.want) != (len(e.voids) == 1) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	if _, err := parseEntry(redis.XMessage{ID: "7"}, time.Now()); err == nil {
		t.Error("7 is an id")
	}
}
