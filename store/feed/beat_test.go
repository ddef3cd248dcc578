package feed

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// seconds is what one replica, "me", sees at each of its beats.
type seconds struct {
	t     *testing.T
	b     beats
	now   time.Time
	w     Watermarks
	beats map[string]string
}

func newSeconds(t *testing.T) *seconds {
	return &seconds{t: t, now: time.Now(), w: Watermarks{Counter: 1000, Of: map[string]int64{}}, beats: map[string]string{}}
}

// beat is the next one, after another heartbeat of these replicas. broken and trouble are what is wanted.
func (s *seconds) beat(what string, broken bool, trouble error, running ...string) {
	s.t.Helper()
	s.now = s.now.Add(beatEvery)
	of := map[string]int64{}
	for id, at := range s.w.Of {
		of[id] = at
	}
	for _, id := range running {
		of[id] = s.w.Counter
		s.w.Counter++
	}
	s.w.Of = of
	gotBroken := s.b.judge("me", s.now, s.beats, s.w, nil)
	if got := s.b.check(s.now); gotBroken != broken || !errors.Is(got, trouble) || (trouble == nil) != (got == nil) {
		s.t.Errorf("%s: a break %v, trouble %v; want %v, %v", what, gotBroken, got, broken, trouble)
	}
}

// alone begins with this replica, whose feed is continuous after its first mark.
func (s *seconds) alone() {
	s.t.Helper()
	s.beat("the first replica", true, nil, "me")
	s.beats["me"] = "2"
	s.beat("alone", false, nil, "me")
}

func TestBeatsOfARollingUpgrade(t *testing.T) {
	s := newSeconds(t)
	s.beat("beside an old version", true, errMixed, "me", "old")
	s.beats["me"] = "-2"
	for range 5 {
		s.beat("beside an old version", true, errMixed, "me", "old")
	}
	s.beats["new"] = "-1"
	s.beat("a second replica appends", true, errMixed, "me", "old", "new")
	delete(s.w.Of, "old")
	s.beat("the old version has left", false, errMixed, "me", "new")
	s.beat("perhaps it only paused", false, errMixed, "me", "new")
	s.beat("it is gone", true, nil, "me", "new")
	s.beat("all append", false, nil, "me", "new")
}

func TestBeatsWhenTheFeedIsOffForAWhile(t *testing.T) {
	s := newSeconds(t)
	s.alone()
	s.beat("a replica without the feed starts", true, errMixed, "me", "off")
	s.beat("it revokes", true, errMixed, "me", "off")
	delete(s.w.Of, "off")
	s.beats["on"] = "-1"
	for range 2 {
		s.beat("it starts again with the feed", false, errMixed, "me", "on")
	}
	s.beat("what it revoked is unknown", true, nil, "me", "on")
}

func TestBeatsAfterAnOldVersionWasKilled(t *testing.T) {
	s := newSeconds(t)
	s.w.Of["killed"] = s.w.Counter - activeHeartbeats - 5
	s.beat("the first replica", true, errNoLook, "me")
	s.beats["me"] = "-2"
	s.beat("alone", false, errNoLook, "me")
	for range 5 {
		s.beat("its watermark stays", false, nil, "me")
	}
	recent := newSeconds(t)
	recent.w.Of["killed"] = recent.w.Counter
	recent.beat("it may still run", true, errMixed, "me")
	recent.beat("it may still run", false, errMixed, "me")
	recent.beat("it may still run", false, errMixed, "me")
	recent.beat("it does not", true, nil, "me")
}

// While another replica revokes all the time, an idle one of an older version is far behind, and runs all the same.
func TestBeatsOfAStartBesideAnIdleOldVersion(t *testing.T) {
	for name, other := range map[string]string{"where all else is old": "", "beside one that appends": "-9"} {
		s := newSeconds(t)
		s.w.Of["old"] = s.w.Counter - 100
		if other != "" {
			s.beats["busy"] = other
		}
		s.w.Of["busy"] = s.w.Counter - activeHeartbeats - 1
		s.beat(name, true, errNoLook, "me")
		s.beat(name+", a heartbeat later", true, errMixed, "me", "old")
	}
	watched := newSeconds(t)
	watched.w.Of["killed"] = watched.w.Counter - 100
	watched.beats["other"] = "9"
	watched.beat("another replica has watched what was killed", false, nil, "me", "other")
}

// No look counts between the verdict of a beat and the break that it asks for.
func TestBreakComesWithTheBeat(t *testing.T) {
	for range 5_000 {
		f := newFeed(Options{Replica: "me", Watermarks: func(context.Context) (Watermarks, error) { return Watermarks{}, nil }})
		f.pool = func(context.Context, ...redis.Cmder) {}
		done := make(chan struct{})
		go func() { defer close(done); f.Beat(t.Context()) }()
		now := time.Now()
		for i := 0; f.beats.check(now) != nil; i++ {
			if i%1_000 == 999 { // on one processor
				runtime.Gosched()
			}
		}
		if f.breaks.Load() == 0 {
			t.Fatal("a look counts before the mark of the start")
		}
		<-done
	}
}

func TestBeatsOfOthersThatStartAndLeave(t *testing.T) {
	s := newSeconds(t)
	s.alone()
	s.beats["other"] = "-1"
	s.beat("it has beaten, and has no watermark yet", false, nil, "me")
	s.beat("it runs", false, nil, "me", "other")
	s.beats = map[string]string{}
	s.beat("Redis was away, and the beats have expired", false, nil, "me", "other")
	delete(s.w.Of, "other")
	s.beat("it has left", false, nil, "me")
}

func TestBeatsOfABlindReplica(t *testing.T) {
	s := newSeconds(t)
	s.alone()
	s.now = s.now.Add(blindTime)
	if got := s.b.check(s.now); !errors.Is(got, errBlind) {
		t.Errorf("before the next beat: %v", got)
	}
	s.beat("it was stopped", true, nil, "me")
	if s.b.judge("me", s.now, nil, Watermarks{}, errors.New("no answer")) || s.b.check(s.now) == nil {
		t.Error("looks count while the others are not known")
	}
	s.beat("Redis answers again", false, nil, "me")
}

// A replica that starts takes the feed for continuous if one that runs says so.
func TestBeatsOfAStart(t *testing.T) {
	for name, tt := range map[string]struct {
		beat   string
		behind int64
		broken bool
	}{
		"beside one that says so":               {"7", 2, false},
		"beside one that does not":              {"-7", 2, true},
		"beside one that was killed":            {"7", activeHeartbeats + 10, true},
		"beside one that has no watermark left": {"7", 1 << 40, true},
	} {
		s := newSeconds(t)
		s.beats["other"] = tt.beat
		if tt.behind < 1000 {
			s.w.Of["other"] = s.w.Counter - tt.behind
		}
		s.beat(name, tt.broken, nil, "me")
	}
}
