package declare

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Line is one line of a plan: for users as text, for programs as JSON.
type Line struct {
	Action  Verb     `json:"action"`
	Kind    string   `json:"kind"`
	ID      string   `json:"id"`
	Member  string   `json:"member,omitempty"` // of a change
	Before  string   `json:"before,omitempty"` // empty: the default, or none
	After   string   `json:"after,omitempty"`
	Revokes []string `json:"revokes,omitempty"`
	Drift   *Drift   `json:"drift,omitempty"`
	Owner   string   `json:"owner"`
	File    string   `json:"file"`
}

// Lines are the lines of a plan: one for each object that is created or deleted, and for each member that changes.
func (p *Plan) Lines() []Line {
	lines := []Line{}
	for _, s := range p.Steps {
		lines = append(lines, s.lines()...)
	}
	return lines
}

func (s *Step) lines() (lines []Line) {
	line := Line{Action: s.Verb, Kind: s.Kind, ID: s.ID, Owner: s.Owner, File: s.File}
	if s.Verb != Update {
		line.Revokes = s.Revokes
		return []Line{line}
	}
	for _, m := range s.Members {
		of := line
		of.Member, of.Before, of.After, of.Drift = m.Name, m.Before, m.After, m.Drift
		if m.Revokes != "" {
			of.Revokes = []string{m.Revokes}
		}
		lines = append(lines, of)
	}
	for _, c := range s.Secrets {
		of := line
		of.Member = secretsMember
		switch {
		case c.Revoke != "":
			of.Before, of.Revokes = c.Revoke, []string{"1 secret"}
		case c.Renew:
			of.After = "sha256 " + c.Add[:8] + "…"
			of.Before = of.After + " expiring"
		default:
			of.After = "sha256 " + c.Add[:8] + "…"
		}
		lines = append(lines, of)
	}
	return lines
}

// String is the line as users read it.
func (l Line) String() string {
	switch l.Action {
	case Create:
		return fmt.Sprintf("+ create %s %s", l.Kind, l.ID)
	case Delete:
		return fmt.Sprintf("- delete %s %s%s", l.Kind, l.ID, l.revokes())
	}
	if d := l.Drift; d != nil {
		return fmt.Sprintf("! drift %s %s: %s %s, live %s by %s at %s%s",
			l.Kind, l.ID, l.Member, shown(l.After), shown(l.Before), d.By, d.At.UTC().Format(time.RFC3339), l.revokes())
	}
	return fmt.Sprintf("~ change %s %s: %s %s → %s%s", l.Kind, l.ID, l.Member, shown(l.Before), shown(l.After), l.revokes())
}

func (l Line) revokes() string {
	if len(l.Revokes) == 0 {
		return ""
	}
	return " (revokes " + strings.Join(l.Revokes, ", ") + ")"
}

func shown(value string) string { return cmp.Or(value, "none") }
