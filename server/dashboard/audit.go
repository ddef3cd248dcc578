package dashboard

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

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

// auditEvent is an event, and its detail as the page shows it.
type auditEvent struct {
	store.Event
	Facts []auditFact
}

type auditFact struct{ Name, Value string }

// factsOf are the members of a detail by name, a change as one: "read → read write".
func factsOf(detail map[string]string) (facts []auditFact) {
	for _, name := range slices.Sorted(maps.Keys(detail)) {
		value := detail[name]
		if member, ok := strings.CutSuffix(name, audit.Before); ok {
			if _, there := detail[member]; there {
				continue
			}
		}
		if from, changed := detail[name+audit.Before]; changed {
			value = cmp.Or(from, "none") + " → " + cmp.Or(value, "none")
		}
		facts = append(facts, auditFact{name, value})
	}
	return facts
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
		if *to, err = query.Text(name); err != nil {
			return f, filter, err
		}
	}
	f.Refusals = kind == "refusals"
	f.Since = spans[f.Since]
	f.after, err = d.cursors.Open(cursor, f.listing()...)
	if err != nil {
		return f, filter, err
	}
	filter = store.EventFilter{Refusals: f.Refusals, Actor: f.Actor, Target: f.Target, Action: f.Kind, After: f.after, Limit: 50}
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
	shown := make([]auditEvent, len(events))
	for i, e := range events {
		shown[i] = auditEvent{e, factsOf(e.Detail)}
	}
	p := auditPage{operatorPage{"audit"}, f, shown, "", "/operator/audit.jsonl?" + f.query(""), f.after == ""}
	if next != "" {
		p.Next = "/operator/audit?" + f.query(d.cursors.Seal(next, f.listing()...))
	}
	return d.show(w, http.StatusOK, "audit", in.page(r, "Audit", "operator", p))
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
