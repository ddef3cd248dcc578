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

// printer shows what the server answered: a table for people, or the answer
// itself for scripts. Notes are for people and go to the standard error.
type printer struct {
	out, notes io.Writer
	json       bool
}

func newPrinter(p process, g *clientCommand) printer {
	return printer{out: p.stdout, notes: p.stderr, json: g.JSON}
}

// clientView is what people are shown of a client. What a later server adds is
// shown by --json.
type clientView struct {
	ID           string       `json:"client_id"`
	Secret       string       `json:"client_secret"`
	Name         string       `json:"client_name"`
	Scope        string       `json:"scope"`
	GrantTypes   *[]string    `json:"grant_types"`
	AuthMethod   string       `json:"token_endpoint_auth_method"`
	TokenTTL     int64        `json:"access_token_ttl"`
	TokenFormat  string       `json:"access_token_format"`
	Audience     []string     `json:"audience"`
	Disabled     bool         `json:"disabled"`
	CreatedAt    string       `json:"created_at"`
	Secrets      []secretView `json:"secrets"`
	SecretExpiry int64        `json:"client_secret_expires_at"`
}

type secretView struct {
	ID         string `json:"id"`
	CreatedAt  string `json:"created_at"`
	LastUsedAt string `json:"last_used_at"`
	ExpiresAt  string `json:"expires_at"`
	Last4      string `json:"last_four"`
}

func (c clientView) state() string {
	if c.Disabled {
		return "disabled"
	}
	return "enabled"
}

// client shows one client, with its secret if the answer has one.
func (p printer) client(body json.RawMessage) error {
	if p.json {
		return p.pretty(body)
	}
	var c clientView
	if err := json.Unmarshal(body, &c); err != nil {
		return fmt.Errorf("the client is not what Mintkeep sends: %w", err)
	}
	rows := [][]string{{"client id", c.ID}, {"client secret", c.Secret}, {"name", c.Name}, {"scope", c.Scope}}
	if c.GrantTypes != nil {
		rows = append(rows, []string{"grant types", orNone(*c.GrantTypes)})
	}
	rows = append(rows, []string{"auth method", c.AuthMethod})
	if c.TokenTTL > 0 {
		rows = append(rows, []string{"token ttl", (time.Duration(c.TokenTTL) * time.Second).String()})
	}
	rows = append(rows, []string{"token format", c.TokenFormat}, []string{"audience", strings.Join(c.Audience, " ")}, []string{"created", c.CreatedAt})
	if c.Secret == "" {
		rows = append(rows, []string{"state", c.state()})
	}
	if c.SecretExpiry > 0 {
		rows = append(rows, []string{"secret expires", time.Unix(c.SecretExpiry, 0).UTC().Format(time.RFC3339)})
	}
	if err := p.table(withValue(rows)); err != nil {
		return err
	}
	if c.Secret != "" {
		p.note("Store the secret now: it is not shown again.")
	}
	if len(c.Secrets) > 0 {
		return p.table(append([][]string{{}}, secretRows(c.Secrets)...))
	}
	return nil
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}

// withValue drops the rows that say nothing.
func withValue(rows [][]string) [][]string {
	var kept [][]string
	for _, row := range rows {
		if row[1] != "" {
			kept = append(kept, row)
		}
	}
	return kept
}

// secrets shows a list of secrets, of which only the end is known.
func (p printer) secrets(body json.RawMessage) error {
	if p.json {
		return p.pretty(body)
	}
	var list struct {
		Items []secretView `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("the list is not what Mintkeep sends: %w", err)
	}
	return p.table(secretRows(list.Items))
}

func secretRows(secrets []secretView) [][]string {
	rows := [][]string{{"SECRET ID", "ENDS WITH", "CREATED", "LAST USED", "EXPIRES"}}
	for _, s := range secrets {
		rows = append(rows, []string{s.ID, orDash(s.Last4), orDash(s.CreatedAt), orDash(s.LastUsedAt), orDash(s.ExpiresAt)})
	}
	return rows
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// list shows one page as the server sent it.
func (p printer) list(body json.RawMessage, list page) error {
	if p.json {
		return p.pretty(body)
	}
	if err := p.clients(list.Items); err != nil {
		return err
	}
	if list.NextCursor != "" {
		p.note("There are more: --all, or --cursor=" + list.NextCursor)
	}
	return nil
}

// all shows every page as one.
func (p printer) all(list page) error {
	if !p.json {
		return p.clients(list.Items)
	}
	body, err := json.Marshal(map[string]any{"items": list.Items})
	if err != nil {
		return err
	}
	return p.pretty(body)
}

func (p printer) clients(items []json.RawMessage) error {
	rows := [][]string{{"CLIENT ID", "NAME", "SCOPE", "STATE", "CREATED"}}
	for _, item := range items {
		var c clientView
		if err := json.Unmarshal(item, &c); err != nil {
			return fmt.Errorf("the list is not what Mintkeep sends: %w", err)
		}
		rows = append(rows, []string{c.ID, orDash(c.Name), orDash(c.Scope), c.state(), orDash(c.CreatedAt)})
	}
	return p.table(rows)
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

func (p printer) table(rows [][]string) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func (p printer) note(text string) { fmt.Fprintln(p.notes, printable(text)) }

// printable shows what would move the cursor or turn the text around, in a name
// that somebody else chose, instead of sending it to the terminal.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}
