package guard

import (
	"context"
	"testing"
	"time"
)

// A strict caller is not given the verdict that the leader of its question finds in memory: it may be as old as the lease.
func TestStrictCallerOfAQuestionThatIsNotAsked(t *testing.T) {
	t.Parallel()
	d, joined := digestOf("credential"), (*question)(nil)
	g := &Guard{config: Config{MaxStale: time.Second}, memory: newMemory(1)}
	g.flights.init()
	g.known.Store(&instant{})
	v := &verdict{digest: d, expires: never}
	g.memory.keep(v)
	reads := 0
	g.clock = func() instant {
		if reads++; reads == 2 { // the leader has begun its question, and is about to look into the memory
			joined, _, _ = g.flights.join(d, false)
		}
		return instant{}
	}
	if got, own, refusal := g.ask(context.Background(), "credential", d, false); got != v || own || refusal != nil {
		t.Fatalf("the leader got %v, %v, %v", got, own, refusal)
	}
	<-joined.done
	if joined.verdict != nil || joined.refusal != nil {
		t.Errorf("the strict caller got %v, %v", joined.verdict, joined.refusal)
	}
}

// Callers who go away before their questions were asked leave no more of them than may wait. Callers who share one are not
// counted.
func TestQuestionsOfCallersWhoWentAway(t *testing.T) {
	t.Parallel()
	const most = maxQuestions + maxWaiting
	var f flights
	f.init()
	digestAt := func(i int) digest { return digest{byte(i), byte(i >> 8)} }
	var first *question
	for i := range most {
		q, lead, _ := f.join(digestAt(i), true)
		if q == nil || !lead {
			t.Fatalf("question %d may not be asked", i)
		}
		if i == 0 {
			first = q
		}
	}
	if q, _, _ := f.join(digestAt(most), true); q != nil {
		t.Error("there is no end of questions without callers")
	}
	for range 10 * most {
		if q, lead, _ := f.join(digestAt(0), true); q != first || lead {
			t.Fatal("one that waits already cannot be joined")
		}
	}
	f.end(digestAt(0), first)
	if q, lead, _ := f.join(digestAt(most), true); q == nil || !lead {
		t.Error("when one was answered there is no room for another")
	}
}
