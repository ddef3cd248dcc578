package dashboard

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// confirmation is the page that asks before a dangerous change: it says what the change stops, and Cancel has the focus.
type confirmation struct {
	Title   string   // a question that names the thing: Revoke the API key “deploy script”?
	Warning string   // what is in use at this moment; empty: nothing
	Effects []string // what the change does, a sentence each
	Things  []thing  // what the change is made to, if it is more than one
	Button  string   // the verb and the kind of thing: Revoke key
	Cancel  string   // the URL that Cancel leads to

	Reason  string   // the hint of a field for an optional reason; empty: the change has none
	Reasons []string // that are proposed for it
	Type    string   // what must be typed to confirm; empty: nothing
	Kind    string   // what that is of the thing: name

	// Keep is the form that asks for the change: its page sends it again when the user confirms. nil: the page is not the
	// answer to a form.
	Keep     url.Values
	Repeated string // a field that Keep has more than once
	// Back says that Cancel leads back to the form, as it was filled in, by sending it with the field back.
	Back bool

	Action   string     // the URL of the form; set when the page is shown
	Sent     url.Values // the form as it was sent, if it is shown again
	Problems problems
}

// thing is one of several that a change is made to, and what the user should know of it.
type thing struct{ Name, Code, Note string }

// confirmed asks before a dangerous change. GET shows the page; its form is a POST to the same URL. The form is nil unless
// the user has confirmed: the caller then returns err.
func (d *Dashboard) confirmed(w http.ResponseWriter, r *http.Request, in *session, c confirmation) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, d.showConfirmation(w, r, in, c, http.StatusOK)
	}
	form, err := in.form(r, c.Repeated)
	if err != nil {
		return nil, err
	}
	if c.Type != "" && strings.TrimSpace(form.Get("confirm")) != c.Type {
		return nil, d.confirmAgain(w, r, in, c, form, "confirm", "Type the "+c.Kind+" exactly as it is shown.")
	}
	return form, nil
}

// confirmAgain shows the page with the form as it was sent, and what is wrong with a field of it.
func (d *Dashboard) confirmAgain(w http.ResponseWriter, r *http.Request, in *session, c confirmation, form url.Values, field, problem string) error {
	c.Sent, c.Problems = form, problems{field: problem}
	return d.showConfirmation(w, r, in, c, http.StatusBadRequest)
}

func (d *Dashboard) showConfirmation(w http.ResponseWriter, r *http.Request, in *session, c confirmation, status int) error {
	c.Action = r.URL.EscapedPath()
	return d.show(w, status, "confirm", in.page(r, c.Title, in.section(r), c))
}

// The fields by which a form comes back from the page that asks about it.
const (
	confirmedField = "confirmed" // the user has confirmed
	backField      = "back"      // the user has cancelled, and goes on with the form
)

// askFirst shows the page in answer to a form that would stop something. The form comes back with confirmedField.
func (d *Dashboard) askFirst(w http.ResponseWriter, r *http.Request, in *session, c confirmation, form url.Values) error {
	c.Keep = form
	return d.showConfirmation(w, r, in, c, http.StatusOK)
}

// Kept are the fields of Keep that the page sends again.
func (c confirmation) Kept() (fields []keptField) {
	for _, name := range slices.Sorted(maps.Keys(c.Keep)) {
		if name == formField || name == confirmedField || name == backField {
			continue
		}
		for _, value := range c.Keep[name] {
			fields = append(fields, keptField{name, value})
		}
	}
	return fields
}

type keptField struct{ Name, Value string }
