package guard

import "testing"

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
