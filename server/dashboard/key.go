package dashboard

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// keyPage is the page of one key.
type keyPage struct {
	keyRow
	keyPlace
	History   []event
	End       *event // how the key became inactive
	Successor ref
	Once      string
	Overlaps  []choice
	Problems  problems
	Uses      *chart
}

// event is a line of a key's history.
type event struct {
	At   *time.Time
	What string
	Who  ref // empty: it happened by itself
}

// ownKey reads the key that the path names, if it is the user's. Another user's is not found.
func (d *Dashboard) ownKey(r *http.Request, in *session) (*store.APIKey, error) {
	key, err := d.keys.Key(r.Context(), web.Path(r, "id"))
	if err == nil && key.UserID != in.UserID {
		return nil, web.NotFound("Key")
	}
	return key, err
}

// KeyPage answers GET /settings/keys/{id}.
func (d *Dashboard) KeyPage(w http.ResponseWriter, r *http.Request, in *session) error {
	key, err := d.ownKey(r, in)
	if err != nil {
		return err
	}
	return d.showKeyPage(w, r, in, key, http.StatusOK, nil)
}

func (d *Dashboard) showKeyPage(w http.ResponseWriter, r *http.Request, in *session, key *store.APIKey, status int, wrong problems) error {
	content, err := d.keyPage(r, in, key, ownKeys)
	if err != nil {
		return err
	}
	content.Problems = wrong
	return d.show(w, status, "key", in.page(r, key.Name, "keys", content))
}

// keyPage is the page for the owner, or for an operator.
func (d *Dashboard) keyPage(r *http.Request, in *session, key *store.APIKey, at keyPlace) (*keyPage, error) {
	view, err := d.keys.View(r.Context(), key)
	if err != nil {
		return nil, err
	}
	p := &keyPage{keyRow: rowOf(view), keyPlace: at, Once: rand.Text()}
	for _, o := range overlaps {
		p.Overlaps = append(p.Overlaps, choice{o.value, o.label, "", o.value == "24h"})
	}
	h := history{key: key, view: view, reader: in.User, forOperator: at.Operator}
	if h.names, err = d.refs(r.Context(), h.subjects()...); err != nil {
		return nil, err
	}
	p.History, p.Successor = h.events(), h.successor()
	if !p.Usable {
		p.End = &p.History[0]
	}
	uses, err := d.store.KeyDays(r.Context(), key.ID)
	if err != nil {
		return nil, err
	}
	p.Uses = usesChart(uses)
	return p, nil
}
