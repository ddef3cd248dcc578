package config

import (
	"fmt"
	"strings"
)

// A Mistake is the error of one setting.
type Mistake struct {
	Setting string // the variable, and where the value came from if elsewhere
	Problem string
	Example string // empty if there is nothing to show
}

func (m Mistake) String() string {
	if m.Example == "" {
		return m.Setting + " " + m.Problem
	}
	return fmt.Sprintf("%s %s; example: %s", m.Setting, m.Problem, m.Example)
}

// An Error is all errors of a configuration.
type Error struct{ Mistakes []Mistake }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("the configuration has an error:")
	if n := len(e.Mistakes); n > 1 {
		b.Reset()
		fmt.Fprintf(&b, "the configuration has %d errors:", n)
	}
	for _, m := range e.Mistakes {
		b.WriteString("\n  " + m.String())
	}
	return b.String()
}
