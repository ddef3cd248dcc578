package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// stuck is a writer that takes nothing while the test holds it.
type stuck struct {
	processtest.Output
	free chan struct{}
}

func (w *stuck) Write(p []byte) (int, error) {
	<-w.free
	return w.Output.Write(p)
}

// A writer that blocks stops no caller; dropped lines are counted, and lines within the bound are written later.
func TestLogSink(t *testing.T) {
	w := &stuck{free: make(chan struct{})}
	s := newLogSink(w)
	s.onDropped = func(n int) { _, _ = fmt.Fprintf(s, "dropped %d\n", n) }
	line := strings.Repeat("x", 1023) + "\n"
	const lines = 3 * logSinkBound / 1024
	for range lines {
		if n, err := s.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("a line that cannot be written: %d %v, want no error", n, err)
		}
	}
	close(w.free)
	s.Close()
	got := w.String()
	kept := strings.Count(got, line)
	if kept < logSinkBound/1024 || kept > 2*logSinkBound/1024+1 {
		t.Errorf("%d of %d lines were kept, want about %d", kept, lines, logSinkBound/1024)
	}
	if want := fmt.Sprintf("dropped %d\n", lines-kept); !strings.HasSuffix(got, want) {
		t.Errorf("after %d lines that were kept it says %q, want %q", kept, got[max(0, len(got)-40):], want)
	}
}

// Close does not wait for ever either.
func TestLogSinkClose(t *testing.T) {
	t.Parallel()
	w := &stuck{free: make(chan struct{})}
	defer close(w.free)
	s := newLogSink(w)
	_, _ = s.Write([]byte("x\n"))
	s.Close()
}

// In order, and nothing is missing, while the writer works.
func TestLogSinkKeepsOrder(t *testing.T) {
	var w processtest.Output
	s := newLogSink(&w)
	var want strings.Builder
	for i := range 1000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		_, _ = s.Write([]byte(line))
	}
	s.Close()
	if w.String() != want.String() {
		t.Errorf("got %d bytes, want %d in the order of writing", len(w.String()), want.Len())
	}
}
