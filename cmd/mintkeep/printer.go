package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// output is the flag that the commands over the admin API have in common.
type output struct {
	JSON bool `name:"json" help:"Print JSON, for scripts: the server's answer, and errors."`
}

// ProvidePrinter makes the printer that kong gives to the commands below.
func (o output) ProvidePrinter(p process) printer {
	return printer{out: p.stdout, notes: p.stderr, json: o.JSON}
}

// printer shows what the server answered: a table for users, or the answer
// itself for scripts. Notes are for users and go to the standard error.
type printer struct {
	out, notes io.Writer
	json       bool
}

// parsed takes an answer apart. What a later server adds is shown by --json.
func parsed[T any](body json.RawMessage) (T, error) {
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		return v, fmt.Errorf("the answer is not what Mintkeep sends: %w", err)
	}
	return v, nil
}

// A table is how a list is shown to users.
type table struct {
	heads []string
	row   func(item json.RawMessage) ([]string, error)
}

// wide is the flag of the lists that leave ids out.
type wide struct {
	Wide bool `help:"Show the ids of users as well."`
}

// inFront is a row with the first cell, or without it.
func inFront(wide bool, first string, cells ...string) []string {
	if wide {
		return append([]string{first}, cells...)
	}
	return cells
}

// tableOf makes a table of items of one kind, with a dash for an empty cell.
func tableOf[T any](row func(T) []string, heads ...string) table {
	return table{heads: heads, row: func(item json.RawMessage) ([]string, error) {
		v, err := parsed[T](item)
		if err != nil {
			return nil, err
		}
		cells := row(v)
		for i := range cells {
			cells[i] = orDash(cells[i])
		}
		return cells, nil
	}}
}

// stamp is a time as the server sent it; empty: none.
func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// page shows one page as the server sent it.
func (p printer) page(list page, t table) error {
	if p.json {
		return p.pretty(list.body)
	}
	if err := p.items(list.Items, t); err != nil {
		return err
	}
	if list.NextCursor != "" {
		p.note("There are more: use --all, or --cursor=" + list.NextCursor)
	}
	return nil
}

// all shows every page as one.
func (p printer) all(items []json.RawMessage, t table) error {
	if !p.json {
		return p.items(items, t)
	}
	body, err := json.Marshal(map[string]any{"items": items})
	if err != nil {
		return err
	}
	return p.pretty(body)
}

func (p printer) items(items []json.RawMessage, t table) error {
	rows := [][]string{t.heads}
	for _, item := range items {
		row, err := t.row(item)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return p.columns(rows)
}

// fact is a line about an object.
type fact struct{ name, value string }

// facts shows one object, and leaves out empty values.
func (p printer) facts(facts ...fact) error {
	var rows [][]string
	for _, f := range facts {
		if f.value != "" {
			rows = append(rows, []string{f.name, f.value})
		}
	}
	return p.columns(rows)
}

// done says that something without an answer was done.
func (p printer) done(format string, args ...any) error {
	if p.json {
		return nil
	}
	_, err := fmt.Fprintln(p.out, printable(fmt.Sprintf(format, args...)))
	return err
}

func (p printer) pretty(body json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(body), "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := b.WriteTo(p.out)
	return err
}

func (p printer) columns(rows [][]string) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i := range row {
			cells[i] = printable(row[i])
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

func (p printer) note(text string) { fmt.Fprintln(p.notes, printable(text)) }

// printable shows what would move the cursor or turn the text around, in a name
// that another user chose, instead of sending it to the terminal.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}
