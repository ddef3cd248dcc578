package load

import (
	"slices"
	"testing"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// rounds is how often two things are measured in turn. Their ratio is the median of as many.
const rounds = 5

// The cost of a request does not grow with the records: a store that is filled more and more is compared with one that
// stays small, measured in turn so that other work of the machine hits both.
func TestScale(t *testing.T) {
	wanted(t, "scale")
	small, large := newStand(t, storetest.Redis(t)), newStand(t, storetest.Redis(t))
	few := size{10, 1_000, 100}
	newFiller(t, small.redis).grow(few)
	fill := newFiller(t, large.redis)
	report := newTable("stored|request|ms/request|of a small store|ratio")
	defer report.print()
	for _, step := range []size{{1_000, 10_000, 1_000}, {10_000, 100_000, 10_000}, {100_000, 1_000_000, 100_000}} {
		fill.grow(step)
		for _, it := range []struct {
			name         string
			small, large job
		}{
			{"issue", small.issueBy(few.clients), large.issueBy(min(step.clients, 1_000))},
			{"introspect", small.introspect(), large.introspect()},
			{"me, by key", small.me(), large.me()},
		} {
			a, b, ratio := beside(t, small, large, it.small, it.large)
			report.add("%v|%s|%.3f|%.3f|%.2f", step, it.name, b, a, ratio)
			if step == (size{100_000, 1_000_000, 100_000}) && ratio > 1.10 {
				t.Errorf("%s costs %.2f of what it does with %v, want at most 1.10", it.name, ratio, few)
			}
		}
	}
	a, b, ratio := beside(t, small, large, small.issueBy(few.clients), large.issueBy(100_000))
	report.add("the same|issue, another client each time|%.3f|%.3f|%.2f", b, a, ratio)
}

// beside measures two in turn and returns what each costs, Redis included, and the ratio of the second to the first:
// medians.
func beside(t *testing.T, one, two *stand, j, k job) (a, b, ratio float64) {
	t.Helper()
	var as, bs, ratios []float64
	for range rounds {
		for _, it := range []struct {
			s    *stand
			j    job
			into *[]float64
		}{{one, j, &as}, {two, k, &bs}} {
			o, c := it.s.measure(func() *outcome { return closed(t, it.s.addr(), 32, *lasts, it.j) })
			o.served(t)
			*it.into = append(*it.into, c.total())
		}
		ratios = append(ratios, bs[len(bs)-1]/as[len(as)-1])
	}
	return median(as), median(bs), median(ratios)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
