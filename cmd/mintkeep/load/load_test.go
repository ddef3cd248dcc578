package load

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

var (
	loads  = flag.String("load", "", "which loads to put on: scale, delay, connections, overload, replicas, start, assertions, tracing, guards, checks, profile, soak; a comma list, or all")
	before = flag.String("before", "", "the binary of a former version, beside which -load=tracing measures this one")
	lasts  = flag.Duration("for", 5*time.Second, "how long each measurement of a load lasts")
)

func TestMain(m *testing.M) { processtest.Main(m) }

// wanted skips the test unless -load names it.
func wanted(t *testing.T, name string) {
	t.Helper()
	if *loads != "all" && !slices.Contains(strings.Split(*loads, ","), name) {
		t.Skip("only with -load=" + name)
	}
}

// table prints rows of columns, one at a time.
type table struct{ w *tabwriter.Writer }

func newTable(head string) *table {
	t := &table{tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)}
	fmt.Fprintln(os.Stdout)
	t.row(strings.Split(head, "|"))
	return t
}

func (t *table) row(cells []string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

// add takes a row with its columns divided by "|".
func (t *table) add(format string, args ...any) {
	t.row(strings.Split(fmt.Sprintf(format, args...), "|"))
}

func (t *table) print() { _ = t.w.Flush() }

// ms is a time in milliseconds, in three digits or so.
func ms(d time.Duration) string {
	v := d.Seconds() * 1000
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

// The generators count what a real server answers, and tell a wrong answer from a right one.
func TestGenerators(t *testing.T) {
	s := newStand(t, storetest.Redis(t))
	const d = 150 * time.Millisecond
	for name, j := range map[string]job{"issue": s.issue(), "introspect": s.introspect(), "me": s.me()} {
		o, c := s.measure(func() *outcome { return closed(t, s.addr(), 8, d, j) })
		o.served(t)
		if c.total() < 0 || percentile(o.good, 50) <= 0 || percentile(o.good, 99) < percentile(o.good, 50) {
			t.Errorf("%s: cost %v, p50 %v, p99 %v", name, c, percentile(o.good, 50), percentile(o.good, 99))
		}
		o = open(t, s.addr(), 8, 200, d, j)
		o.served(t)
		if got, want := len(o.good), 30; got != want {
			t.Errorf("%s at 200 a second: %d answers in %v, want %d", name, got, d, want)
		}
	}
	dead := s.introspection("junk", isActive)
	if o := closed(t, s.addr(), 1, d/10, func(uint64) exchange { return dead }); o.wrong == 0 || o.first == nil || len(o.good) > 0 {
		t.Errorf("junk that should be active: %d good, %d wrong", len(o.good), o.wrong)
	}
}
