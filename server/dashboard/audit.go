package dashboard

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// auditPage is the audit log: the changes, or the rejections.
type auditPage struct {
	operatorPage
	auditFilter
	Events   []auditEvent
	Next     string // URL
	Download string // URL
	First    bool
}

// auditEvent is an event as the page shows it.
type auditEvent struct {
	store.Event
	Who, Key, Of ref // the actor, the key through which they acted, and the target
	Facts        []auditFact
	More         []auditFact // those for which a row has no room: the page shows them on request
}

// auditFact is a member of a detail. Ref is set if it is a user or a key.
type auditFact struct {
	Name, Value string
	Ref         ref
}

// subjectOf is the user or the key that a member of a detail names; empty: none.
func subjectOf(member, value string) string {
	switch member {
	case "user":
		return audit.UserTarget(value)
	case "successor":
		return audit.KeyTarget(value)
	}
	return ""
}

// claimedOf is the client as which a rejected token request presented itself; empty: none. There may be no such client.
func claimedOf(e store.Event) string {
	if e.Action != string(audit.ClientRejected) || e.Actor == "" || strings.Contains(e.Actor, ":") {
		return ""
	}
	return audit.ClientTarget(e.Actor)
}

// shownEvents names the users, clients and keys of events.
func (d *Dashboard) shownEvents(ctx context.Context, events []store.Event) ([]auditEvent, error) {
	var subjects []string
	for _, e := range events {
		subjects = append(subjects, e.Actor, claimedOf(e), audit.KeyTarget(e.Via), e.Target)
		for member, value := range e.Detail {
			subjects = append(subjects, subjectOf(member, value))
		}
	}
	names, err := d.refs(ctx, subjects...)
	if err != nil {
		return nil, err
	}
	shown := make([]auditEvent, len(events))
	for i, e := range events {
		shown[i] = auditEvent{Event: e, Who: names.of(e.Actor), Of: names.of(e.Target)}
		if claimed := claimedOf(e); names.Clients[strings.TrimPrefix(claimed, "client:")] != "" {
			shown[i].Who = names.of(claimed)
		}
		if e.Via != "" {
			shown[i].Key = names.of(audit.KeyTarget(e.Via))
		}
		facts := factsOf(e.Detail)
		for n, fact := range facts {
			if subject := subjectOf(fact.Name, fact.Value); subject != "" {
				facts[n].Ref = names.of(subject)
			}
		}
		n := fitting(facts)
		shown[i].Facts, shown[i].More = facts[:n], facts[n:]
	}
	return shown, nil
}

// factsOf are the members of a detail by name, a change as one: "read → read write".
func factsOf(detail map[string]string) (facts []auditFact) {
	for _, name := range slices.Sorted(maps.Keys(detail)) {
		value := detail[name]
		if member, ok := strings.CutSuffix(name, audit.Before); ok {
			if _, there := detail[member]; there {
				continue
			}
		}
		if long, err := time.ParseDuration(value); err == nil && name == "overlap" {
			if value = lasting(long); long == 0 {
				value = "none"
			}
		}
		if from, changed := detail[name+audit.Before]; changed {
			value = cmp.Or(from, "none") + " → " + cmp.Or(value, "none")
		}
		facts = append(facts, auditFact{Name: name, Value: value})
	}
	return facts
}

// rowRoom is how many characters of facts a row of the list has room for.
const rowRoom = 42

// fitting is how many facts a row shows: the first, and those that there is room for behind it.
func fitting(facts []auditFact) (n int) {
	room := rowRoom
	for _, fact := range facts {
		room -= utf8.RuneCountInString(fact.Name) + utf8.RuneCountInString(fact.Value) + 2
		if room < 0 && n > 0 {
			break
		}
		n++
	}
	return n
}

// auditFilter is what the form above the list asks for.
type auditFilter struct {
	Actor, Target, Kind, Since string
	Refusals                   bool
	after                      string
}

// spans are the choices of the page, the shortest first.
var spans = map[string]string{"": "", "1h": "1h", "24h": "24h", "168h": "168h", "720h": "720h"}

func (d *Dashboard) auditFilter(r *http.Request) (f auditFilter, filter store.EventFilter, err error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return f, filter, err
	}
	var cursor, kind string
	for name, to := range map[string]*string{
		"actor": &f.Actor, "target": &f.Target, "kind": &f.Kind, "since": &f.Since, "cursor": &cursor, "which": &kind,
	} {
		text, err := query.Text(name)
		if err != nil {
			return f, filter, err
		}
		*to = strings.TrimSpace(text)
	}
	f.Refusals = kind == "refusals"
	f.Since = spans[f.Since]
	f.after, err = d.cursors.Open(cursor, f.listing()...)
	if err != nil {
		return f, filter, err
	}
	filter = store.EventFilter{Refusals: f.Refusals, Action: f.Kind, After: f.after, Limit: 50}
	if filter.Actor, err = d.users.AuditName(r.Context(), f.Actor); err != nil {
		return f, filter, err
	}
	if filter.Target, err = d.users.AuditName(r.Context(), f.Target); err != nil {
		return f, filter, err
	}
	if f.Since != "" {
		filter.Since, err = query.Moment("since", d.now())
	}
	return f, filter, err
}

func (f auditFilter) listing() []string {
	return []string{"pages audit", f.Actor, f.Target, f.Kind, f.Since, f.which()}
}

func (f auditFilter) which() string {
	if f.Refusals {
		return "refusals"
	}
	return ""
}

func (f auditFilter) query(cursor string) string {
	q := url.Values{}
	for name, value := range map[string]string{
		"actor": f.Actor, "target": f.Target, "kind": f.Kind, "since": f.Since, "which": f.which(), "cursor": cursor,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q.Encode()
}

// Audit answers GET /operator/audit.
func (d *Dashboard) Audit(w http.ResponseWriter, r *http.Request, in *session) error {
	f, filter, err := d.auditFilter(r)
	if err != nil {
		return err
	}
	events, next, err := d.store.Events(r.Context(), filter)
	if err != nil {
		return err
	}
	shown, err := d.shownEvents(r.Context(), events)
	if err != nil {
		return err
	}
	p := auditPage{operatorPage{"audit"}, f, shown, "", "/operator/audit.jsonl?" + f.query(""), f.after == ""}
	if next != "" {
		p.Next = "/operator/audit?" + f.query(d.cursors.Seal(next, f.listing()...))
	}
	return d.show(w, http.StatusOK, "audit", in.page(r, "Audit log", "operator", p))
}

// downloaded is an event as the file has it.
type downloaded struct {
	ID string `json:"id"`
	store.Event
}

const downloadLimit = 10_000

// DownloadAudit answers GET /operator/audit.jsonl: the events that the filter finds, one JSON object a line, at most
// 10,000.
func (d *Dashboard) DownloadAudit(w http.ResponseWriter, r *http.Request, in *session) error {
	_, filter, err := d.auditFilter(r)
	if err != nil {
		return err
	}
	var body strings.Builder
	lines := json.NewEncoder(&body)
	for n, limit := 0, 500; n < downloadLimit; n += limit {
		filter.Limit = limit
		events, next, err := d.store.Events(r.Context(), filter)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := lines.Encode(downloaded{e.ID, e}); err != nil {
				return err
			}
		}
		if filter.After = next; next == "" {
			break
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/jsonl")
	h.Set("Content-Disposition", `attachment; filename="mintkeep-audit.jsonl"`)
	_, _ = w.Write([]byte(body.String()))
	return nil
}
