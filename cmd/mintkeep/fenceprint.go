package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/fence"
	"github.com/mintkeep/mintkeep/store"
)

// fenceReport is what the operator is told of it.
type fenceReport struct {
	fence.Result
	at       string
	replayed bool // there was an export
	dry      bool
	names    subjectNames // of what it names
	unread   unreadLines
}

func (r fenceReport) print(p process) error {
	out := printer{out: p.stdout, notes: p.stderr}
	revoked, fenced := "were revoked", "Fenced: replicas are ready again within a second or two."
	if r.dry {
		revoked, fenced = "would be revoked", "Nothing was changed."
	}
	fmt.Fprintf(p.stdout, "Redis at %s: the tokens of %s and the sessions of %s %s.\n",
		printable(r.at), counted(int64(r.Clients), "client"), counted(int64(r.Users), "user"), revoked)
	if r.Listed > 0 {
		were := map[bool]string{true: "was", false: "were"}[r.Listed == 1]
		fmt.Fprintf(p.stdout, "%d of them %s missing in the lists, and are listed again.\n", r.Listed, were)
	}
	if len(r.Steps) > 0 {
		rows := [][]string{{"REPLAYED", "TARGET", "OUTCOME", "TIME", "ACTOR"}}
		for _, s := range r.Steps {
			rows = append(rows, []string{s.Do, r.of(s.Event), outcome(s), s.Event.At.Format(time.RFC3339), r.names.of(s.Event.Actor)})
		}
		fmt.Fprintln(p.stdout)
		if err := out.columns(rows); err != nil {
			return err
		}
	}
	if len(r.Reviews) > 0 {
		rows := [][]string{{"CHECK", "TARGET", "WHY", "TIME", "ACTOR"}}
		for _, l := range r.Reviews {
			rows = append(rows, []string{l.Event.Action, r.of(l.Event), l.Why, l.Event.At.Format(time.RFC3339), r.names.of(l.Event.Actor)})
		}
		fmt.Fprintln(p.stdout)
		if err := out.columns(rows); err != nil {
			return err
		}
	}
	if err := r.printLost(p, out); err != nil {
		return err
	}
	if !r.replayed {
		out.note("There was no --audit: keys, secrets, clients and users that were revoked, deleted or disabled after the backup are active again. Revoke them manually.")
	}
	fmt.Fprintln(p.stdout)
	_, err := fmt.Fprintln(p.stdout, fenced)
	return err
}

// printLost prints what the export says exists and the store has not, and which clients cannot authenticate.
func (r fenceReport) printLost(p process, out printer) error {
	if len(r.Lost) > 0 {
		rows := [][]string{{"LOST", "FIX", "CREATED", "ACTOR"}}
		for _, l := range r.Lost {
			rows = append(rows, []string{strings.TrimSpace(r.names.of(l.Target) + " " + l.Secret), restoreOf(l), l.Event.At.Format(time.RFC3339), r.names.of(l.Event.Actor)})
		}
		fmt.Fprintln(p.stdout)
		if err := out.columns(rows); err != nil {
			return err
		}
	}
	if len(r.Locked) > 0 {
		rows := [][]string{{"NO ACTIVE SECRET", "FIX"}}
		for _, id := range r.Locked {
			rows = append(rows, []string{r.names.of(audit.ClientTarget(id)), "mintkeep client rotate " + id})
		}
		fmt.Fprintln(p.stdout)
		return out.columns(rows)
	}
	return nil
}

// restoreOf is how an operator makes up for what is lost.
func restoreOf(l audit.Lost) string {
	kind, id, _ := strings.Cut(l.Target, ":")
	switch {
	case l.Secret != "":
		return "mintkeep client rotate " + id
	case kind == "client":
		return "register it again"
	case kind == "user":
		return "create the user again"
	}
	return "its owner creates a new one"
}

// of is what an event is about, to the secret.
func (r fenceReport) of(e store.Event) string {
	if secret := e.Detail["secret"]; secret != "" {
		return r.names.of(e.Target) + " " + secret
	}
	return orDash(r.names.of(e.Target))
}

func outcome(d fence.Done) string {
	if d.Err != nil {
		return "failed: " + d.Err.Error()
	}
	return d.Outcome
}

// err is that some of it failed.
func (r fenceReport) err() error {
	failed := 0
	for _, s := range r.Steps {
		if s.Err != nil {
			failed++
		}
	}
	var err error
	if failed > 0 {
		err = fmt.Errorf("%s could not be replayed, see above: revoke them manually", counted(int64(failed), "revocation"))
	}
	return errors.Join(err, r.unread.err())
}

// json prints the result for a script.
func (r fenceReport) json(p process) error {
	type line struct {
		Do      string    `json:"do,omitempty"`
		Action  string    `json:"action"`
		Target  string    `json:"target"`
		Name    string    `json:"name,omitempty"` // of the target
		Secret  string    `json:"secret,omitempty"`
		At      time.Time `json:"at"`
		Actor   string    `json:"actor"`
		Outcome string    `json:"outcome,omitempty"`
		Why     string    `json:"why,omitempty"`
	}
	report := struct {
		Redis   string       `json:"redis"`
		DryRun  bool         `json:"dry_run"`
		Clients int          `json:"clients"`
		People  int          `json:"people"`
		Steps   []line       `json:"replayed"`
		Looks   []line       `json:"look_at"`
		Lost    []line       `json:"lost"`
		Locked  []string     `json:"no_active_secret"`
		Listed  int          `json:"listed_again"`
		Unread  []unreadLine `json:"unreadable"`
		Fence   int64        `json:"fence,omitempty"`
	}{
		Redis: r.at, DryRun: r.dry, Clients: r.Clients, People: r.Users, Steps: []line{}, Looks: []line{}, Lost: []line{},
		Locked: append([]string{}, r.Locked...), Listed: r.Listed, Unread: append([]unreadLine{}, r.unread...), Fence: r.Fence,
	}
	lineOf := func(e store.Event) line {
		return line{Action: e.Action, Target: e.Target, Name: r.names[e.Target], Secret: e.Detail["secret"], At: e.At, Actor: e.Actor}
	}
	for _, s := range r.Steps {
		l := lineOf(s.Event)
		l.Do, l.Outcome = s.Do, outcome(s)
		report.Steps = append(report.Steps, l)
	}
	for _, review := range r.Reviews {
		l := lineOf(review.Event)
		l.Why = review.Why
		report.Looks = append(report.Looks, l)
	}
	for _, lost := range r.Lost {
		l := lineOf(lost.Event)
		l.Target, l.Name, l.Secret, l.Why = lost.Target, r.names[lost.Target], lost.Secret, restoreOf(lost)
		report.Lost = append(report.Lost, l)
	}
	body, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, string(body))
	return err
}
