package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// keyList is the settings page: a user's keys.
type keyList struct {
	Keys  []keyRow
	Query string
	State string // active, inactive or all
	Next  string // the URL of the next page
	First bool   // there is no page before
	None  bool   // the user has no key at all
}

// keyRow is a key as the list and its own page show it.
type keyRow struct {
	adminapi.Key
	Status string // Active, Expired or Revoked
	Near   bool   // it expires within a week
	Owner  ref    // for operators
}

func rowOf(view adminapi.Key, now time.Time) keyRow {
	row := keyRow{Key: view, Status: "Active", Owner: ownerOf(view.User, view.UserEmail)}
	switch {
	case view.Revocation == nil:
		row.Near = view.ExpiresAt != nil && view.ExpiresAt.Sub(now) < 7*24*time.Hour
	case expired(view):
		row.Status = "Expired"
	default:
		row.Status = "Revoked"
	}
	return row
}

// expired says whether a key became inactive by its expiry, which no actor caused.
func expired(view adminapi.Key) bool {
	return view.Revocation.By == "" && view.ExpiresAt != nil && view.Revocation.At != nil && view.Revocation.At.Equal(*view.ExpiresAt)
}

// through tells from which address, or through which client, a key was used.
func through(from string) string {
	if client, ok := strings.CutPrefix(from, "client:"); ok {
		return "through the client " + client
	}
	return "from " + from
}

// Settings answers GET /settings.
func (d *Dashboard) Settings(w http.ResponseWriter, r *http.Request, in *session) error {
	list, err := d.listKeys(r, "/settings", store.KeyFilter{UserID: in.UserID})
	if err != nil {
		return err
	}
	list.None = len(list.Keys) == 0 && list.Query == "" && list.First && list.State == "active" && !d.hadKeys(r, in)
	return d.show(w, http.StatusOK, "settings", in.page(r, "API keys", "keys", list))
}

// hadKeys says whether a user without an active key has inactive ones to show.
func (d *Dashboard) hadKeys(r *http.Request, in *session) bool {
	inactive, _, err := d.store.Keys(r.Context(), store.KeyFilter{UserID: in.UserID}, "", 1)
	return err != nil || len(inactive) > 0
}

// listKeys reads a page of keys as the query asks for it: the active ones, if it does not say.
func (d *Dashboard) listKeys(r *http.Request, path string, narrowed store.KeyFilter) (*keyList, error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return nil, err
	}
	text, err := query.Text("state")
	if err != nil {
		return nil, err
	}
	shown, state := stateOf(text)
	if limit, _ := query.Text("limit"); limit != "" {
		return nil, web.InvalidRequest("limit: all pages have one length")
	}
	f, err := keys.ReadFilterAs(query, state)
	if err != nil {
		return nil, err
	}
	f.UserID, f.ForOperator = narrowed.UserID, path != "/settings" // where they are all the user's own
	found, err := d.keys.Page(r.Context(), f, d.cursors)
	if err != nil {
		return nil, err
	}
	cursor, _ := query.Text("cursor")
	list := &keyList{Query: f.Query, State: shown, First: cursor == ""}
	for _, view := range found.Items {
		list.Keys = append(list.Keys, rowOf(view, d.now()))
	}
	if found.NextCursor != "" {
		list.Next = path + "?" + url.Values{"q": {f.Query}, "state": {list.State}, "cursor": {found.NextCursor}}.Encode()
	}
	return list, nil
}

// stateOf reads the filter of a page; the default is the active keys.
func stateOf(text string) (shown string, state store.KeyState) {
	switch text {
	case "all":
		return text, store.AnyState
	case "inactive":
		return text, store.StateEnded
	}
	return "active", store.StateLive
}
