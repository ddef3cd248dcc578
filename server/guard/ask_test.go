package guard

import "testing"

// Callers who go away before their questions were asked leave no more of them than may wait.
func TestQuestionsOfCallersWhoWentAway(t *testing.T) {
	t.Parallel()
	var f flights
	f.init()
	digestAt := func(i int) digest { return digest{byte(i), byte(i >> 8)} }
	for i := range maxCallers {
		if q, lead, _ := f.join(digestAt(i), true); q == nil || !lead {
			t.Fatalf("question %d may not be asked", i)
		}
		f.leave()
	}
	if q, _, _ := f.join(digestAt(maxCallers), true); q != nil {
		t.Error("there is no end of questions without callers")
	}
	q, lead, _ := f.join(digestAt(0), true)
	if q == nil || lead {
		t.Error("one that waits already cannot be joined")
	}
	f.leave()
	f.end(digestAt(0), q)
	if q, lead, _ := f.join(digestAt(maxCallers), true); q == nil || !lead {
		t.Error("when one was answered there is no room for another")
	}
}
