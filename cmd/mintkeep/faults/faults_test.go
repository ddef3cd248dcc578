package faults

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// form is how much of the bench runs.
type form int

const (
	quick form = iota // with all other tests
	short             // before a merge
	long              // now and then
)

var forms = []string{"quick", "short", "long"}

func (f *form) String() string { return forms[*f] }

// Set is for flag.Var.
func (f *form) Set(s string) error {
	i := slices.Index(forms, s)
	if i < 0 {
		return fmt.Errorf("want one of %s", strings.Join(forms, ", "))
	}
	*f = form(i)
	return nil
}

// stretch is how many times longer a fault lasts.
func (f *form) stretch() int {
	if *f == long {
		return 3
	}
	return 1
}

// limits are within which every call has to be answered, and calls have to succeed again after a fault. With all other
// tests the machine has much else to do, and the bench is about answers that are wrong.
func (f *form) limits() (answer, recovery time.Duration) {
	if *f == quick {
		return callTimeout, time.Minute
	}
	return 2500 * time.Millisecond, 5 * time.Second
}

// calm is how long the load runs before the fault.
func (f *form) calm() time.Duration {
	return []time.Duration{300 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}[*f]
}

var chosen form

func TestMain(m *testing.M) {
	flag.Var(&chosen, "faults", "which faults: `quick`, short or long")
	flag.Parse()
	processtest.Main(m)
}

// printLine prints a line of the table at once, since a long run takes a quarter of an hour.
func printLine(t *testing.T, line string) {
	t.Helper()
	if chosen == quick {
		t.Log(line)
		return
	}
	fmt.Fprintln(os.Stdout, line)
}

// TestFaults injects one fault after the other, each into a Redis and two servers of its own.
func TestFaults(t *testing.T) {
	for _, f := range allFaults() {
		t.Run(f.name, func(t *testing.T) {
			if f.form > chosen {
				t.Skipf("with -faults=%s", forms[f.form])
			}
			f.run(t)
		})
	}
}

// TestDocumented holds docs/guarantees.md to the faults: each is in its table.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range allFaults() {
		if !strings.Contains(string(text), "`"+f.name+"`") {
			t.Errorf("docs/guarantees.md does not have the fault %s", f.name)
		}
	}
}

func allFaults() []fault {
	return slices.Concat(outages, slowness, rejections, restarts, processes, failovers, late)
}
