package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]store.Rate{
		"20/s":      {Count: 20, Window: time.Second},
		"600/m":     {Count: 600, Window: time.Minute},
		"1/h":       {Count: 1, Window: time.Hour},
		"1000000/h": {Count: 1_000_000, Window: time.Hour},
	} {
		got, err := store.ParseRate(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %+v (%s), %v, want %+v", text, got, got, err, want)
		}
	}
	for _, text := range []string{
		"", "/", "600", "600/", "/m", "600/d", "600/M", "600/1m", "0/m", "-1/m", "+1/m", "1000001/m", "99999999999999999999/m",
		"060/m", "6e2/m", "1.5/s", "600 /m", " 600/m", "600/m ", "600/m/s", "six/m", "٦٠/m", "600/m\n",
	} {
		if got, err := store.ParseRate(text); err == nil || got != (store.Rate{}) || !strings.Contains(err.Error(), "such as 600/m") {
			t.Errorf("%q: got %+v, %v, want an error with an example", text, got, err)
		}
	}
	if got := (store.Rate{}).String(); got != "" {
		t.Errorf("no rate is %q", got)
	}
}

// FuzzParseRate: what is accepted is written as it was read.
func FuzzParseRate(f *testing.F) {
	f.Add("600/m")
	f.Add("1000001/h")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := store.ParseRate(text)
		if err == nil && (r.String() != text || r.Count < 1 || r.Count > 1_000_000) {
			t.Errorf("%q became %+v", text, r)
		}
	})
}

// A client's rate is part of its record; one that cannot be parsed makes the record unreadable.
func TestRateInRecord(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		want := store.Rate{Count: 5000, Window: time.Hour}
		for id, rate := range map[string]store.Rate{"limited": want, "free": {}} {
			if err := s.CreateClient(t.Context(), &store.Client{ID: id, Metadata: store.ClientMetadata{RateLimit: rate}}); err != nil {
				t.Fatal(err)
			}
			c, err := s.Client(t.Context(), id)
			if err != nil || c.Metadata.RateLimit != rate {
				t.Errorf("%s: got %v, %v, want %v", id, c, err, rate)
			}
		}
		record := b.Do("HGET", "mk:c:limited", "meta").(string)
		if free := b.Do("HGET", "mk:c:free", "meta").(string); !strings.Contains(record, `"rate":"5000/h"`) || strings.Contains(free, "rate") {
			t.Errorf("got %s and %s", record, free)
		}
		b.Do("HSET", "mk:c:limited", "meta", strings.Replace(record, "5000/h", "5000/w", 1))
		if _, err := s.Client(t.Context(), "limited"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, store.ErrUnavailable)
		}
	})
}

// calls makes n calls over the replicas in turn, and returns the number of the first above the limit.
func calls(t *testing.T, n int, client string, rate store.Rate, replicas ...*store.Store) (first int) {
	t.Helper()
	for i := 1; i <= n; i++ {
		over, retryAfter, err := replicas[i%len(replicas)].CountCall(t.Context(), client, rate)
		if err != nil {
			t.Fatal(err)
		}
		if over && (retryAfter <= 0 || retryAfter > rate.Window) || !over && retryAfter != 0 {
			t.Errorf("call %d: over %v, retry after %v", i, over, retryAfter)
		}
		if over && first == 0 {
			first = i
		}
	}
	return first
}

func TestCountCall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		one, two := b.Open(t), b.Open(t)
		rate := store.Rate{Count: 5, Window: time.Minute}
		if got := calls(t, 8, "a", rate, one, two); got != 6 {
			t.Errorf("the first over the rate is %d, want 6", got)
		}
		if got := calls(t, 5, "b", rate, one, two); got != 0 {
			t.Errorf("of another client, %d was over", got)
		}
		// A rate that is raised, or lowered, holds at once.
		if got := calls(t, 4, "a", store.Rate{Count: 10, Window: time.Minute}, one, two); got != 3 {
			t.Errorf("after it was raised the first over the rate is %d, want 3", got)
		}
		if got := calls(t, 2, "a", store.Rate{Count: 1, Window: time.Hour}, one, two); got != 2 {
			t.Errorf("in another window the first over the rate is %d, want 2", got)
		}
		b.Clock.Advance(40 * time.Second)
		if got := calls(t, 1, "a", rate, one, two); got != 1 {
			t.Error("the window ends too early")
		}
		b.Clock.Advance(20 * time.Second)
		if got := calls(t, 8, "a", rate, one, two); got != 6 {
			t.Errorf("in the next window the first over the rate is %d, want 6", got)
		}
		b.Clock.Advance(time.Hour)
		var left []string
		for _, key := range b.Dump(t).Keys() {
			if strings.HasPrefix(key, "mk:r:") {
				left = append(left, key)
			}
		}
		if left != nil {
			t.Errorf("left behind: %q", left)
		}
	})
}

// A thousand calls at once are counted as a thousand.
func TestCountCallRace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		const callers, each, allowed = 20, 10, 137
		replicas := []*store.Store{b.Open(t), b.Open(t)}
		passed := make(chan int, callers)
		for i := range callers {
			go func() {
				n := 0
				for range each {
					over, _, err := replicas[i%2].CountCall(t.Context(), "a", store.Rate{Count: allowed, Window: time.Hour})
					if err != nil {
						t.Error(err)
					}
					if !over {
						n++
					}
				}
				passed <- n
			}()
		}
		sum := 0
		for range callers {
			sum += <-passed
		}
		if sum != allowed {
			t.Errorf("%d of %d calls passed, want %d", sum, callers*each, allowed)
		}
	})
}

// A counter that lost its expiry gets one again, of its own length.
func TestCountCallAlwaysExpires(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := b.Open(t)
	rate := store.Rate{Count: 1, Window: time.Minute}
	calls(t, 1, "a", rate, s)
	keys := b.Dump(t).Keys()
	if diff := cmp.Diff([]string{"mk:r:m:a"}, keys); diff != "" {
		t.Fatal(diff)
	}
	b.Do("PERSIST", keys[0])
	calls(t, 1, "a", rate, s)
	if left := b.Do("PTTL", keys[0]).(int64); left <= 0 || left > 60_000 {
		t.Errorf("it lives for %d ms", left)
	}
}

// What cannot be counted is not answered: a limit that is off while Redis is unavailable would be no limit.
func TestCountCallWithoutRedis(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	s := srv.Backend(t).Open(t)
	srv.Kill()
	if over, _, err := s.CountCall(t.Context(), "a", store.Rate{Count: 1, Window: time.Minute}); over || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, %v, want %v", over, err, store.ErrUnavailable)
	}
}
