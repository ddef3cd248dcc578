package dashboard

import (
	"slices"
	"strings"
)

// problems are what is wrong with the fields of a form, by the name of the field, which is its id as well. The problem of
// no single field has the name "".
type problems map[string]string

// fieldProblem is what is wrong with one field, and what describes the field: the ids of its hints, and of the problem.
type fieldProblem struct{ Field, Text, By string }

// At is the problem of a field that has these hints.
func (p problems) At(field string, hints ...string) fieldProblem {
	if p[field] != "" {
		hints = append(slices.Clip(hints), field+"-problem")
	}
	return fieldProblem{field, p[field], strings.Join(hints, " ")}
}

// labels are the fields of a form whose values a use case checks: by the name of its member, the field and its label.
type labels map[string]struct{ Field, Label string }

// problems are what a use case says of a form, "name: must not be empty", at the field, in the words of the page.
func (l labels) problems(description string) problems {
	member, rest, _ := strings.Cut(description, ": ")
	if at, known := l[member]; known {
		return problems{at.Field: at.Label + " " + rest + "."}
	}
	return problems{"": sentence(description)}
}
