package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// keysField is the field of a form that names keys, once for each.
const keysField = "id"

// RevokeKeys answers GET and POST /settings/keys/revoke: the question about keys that the user has selected in the list,
// and the revocation.
func (d *Dashboard) RevokeKeys(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.revokeSelected(w, r, in, ownKeys, "revoked by its owner")
}

// OperatorRevokeKeys answers GET and POST /operator/keys/revoke, likewise.
func (d *Dashboard) OperatorRevokeKeys(w http.ResponseWriter, r *http.Request, in *session) error {
	return d.revokeSelected(w, r, in, allKeys, "revoked by an operator")
}

func (d *Dashboard) revokeSelected(w http.ResponseWriter, r *http.Request, in *session, at keyPlace, otherwise string) error {
	query, err := web.ReadQuery(r)
	sent := url.Values(query)
	if r.Method == http.MethodPost {
		sent, err = in.form(r, keysField)
	}
	if err != nil {
		return err
	}
	ids := slices.Compact(slices.Sorted(slices.Values(sent[keysField])))
	switch {
	case len(ids) == 0:
		return seeOther(w, at.List, "none-selected")
	case len(ids) > keysPerPage:
		return web.InvalidRequest("id: a page has at most %d keys", keysPerPage)
	}
	found, err := d.keys.All(r.Context(), ids, at.owner(in))
	if err != nil {
		return err
	}
	return d.revokeSeveral(w, r, in, several{at: at, keys: found, otherwise: otherwise})
}

// RevokeAllKeys answers GET and POST /settings/keys/revoke-all: all the keys of the user.
func (d *Dashboard) RevokeAllKeys(w http.ResponseWriter, r *http.Request, in *session) error {
	found, _, err := d.readKeys(r.Context(), store.KeyFilter{UserID: in.UserID, State: store.StateLive}, store.MaxActiveKeys)
	if err != nil {
		return err
	}
	return d.revokeSeveral(w, r, in, several{at: ownKeys, keys: found, all: true, otherwise: "all keys revoked by their owner"})
}

// several are keys that a page revokes together.
type several struct {
	at        keyPlace
	keys      []*store.APIKey
	all       bool   // they are all the keys of the user
	otherwise string // what stands for no reason
}

func (d *Dashboard) revokeSeveral(w http.ResponseWriter, r *http.Request, in *session, s several) error {
	s.keys = slices.DeleteFunc(s.keys, func(k *store.APIKey) bool { return !k.Revocable() })
	if len(s.keys) == 0 {
		return seeOther(w, s.at.List, "none-active")
	}
	c, err := d.severalQuestion(r.Context(), s)
	if err != nil {
		return err
	}
	form, err := d.confirmed(w, r, in, c)
	if form == nil {
		return err
	}
	reason, err := keys.CheckReason(form.Get("reason"), s.otherwise)
	if err != nil {
		return d.confirmAgain(w, r, in, c, form, "reason", "Reason "+err.Error()+".")
	}
	for part := range slices.Chunk(s.keys, keysPerPage) {
		several := keys.Several{Reason: reason}
		for _, key := range part {
			several.IDs = append(several.IDs, key.ID)
		}
		if _, err := d.keys.RevokeSeveral(r.Context(), several, s.at.owner(in), in.Actor); err != nil {
			return err
		}
	}
	return seeOther(w, s.at.List, d.stopped("revoked-several"))
}

// thingsShown is how many keys the question names: the last used ones.
const thingsShown = 100

// severalQuestion asks whether to revoke keys, and says what each is used for. Something must be typed if one was used
// within a day, or if they are all.
func (d *Dashboard) severalQuestion(ctx context.Context, s several) (confirmation, error) {
	views, err := d.keys.Views(ctx, s.keys, s.at.Operator)
	if err != nil {
		return confirmation{}, err
	}
	c := confirmation{
		Title: "Revoke " + counted(len(views), "API key") + "?", Button: "Revoke " + counted(len(views), "key"), Cancel: s.at.List,
		Reason: "optional; kept in the history of each key", Reasons: revokeReasons,
		Effects:  []string{"Each key stops working at once, and cannot be activated again."},
		Repeated: keysField,
	}
	recent := 0
	for _, view := range views {
		if view.LastUsed != nil && d.recent(view.LastUsed.At) {
			recent++
		}
	}
	switch {
	case recent == 1:
		c.Warning = "1 key was used within a day. Programs that use it stop working."
	case recent > 1:
		c.Warning = fmt.Sprintf("%d keys were used within a day. Programs that use them stop working.", recent)
	}
	switch {
	case s.all:
		c.Title = "Revoke all your API keys?"
		c.Effects = append([]string{"You have " + counted(len(views), "active API key") + "."}, c.Effects...)
		c.Type, c.Kind = "revoke all", "text"
	case recent > 0:
		c.Type, c.Kind = "revoke", "text"
	}
	if !s.all {
		c.Keep = url.Values{}
		for _, view := range views {
			c.Keep.Add(keysField, view.ID)
		}
	}
	c.Things = d.thingsOf(views, s.at)
	return c, nil
}

// thingsOf names keys, the last used ones first, and says by whom each is used.
func (d *Dashboard) thingsOf(views []adminapi.Key, at keyPlace) (things []thing) {
	slices.SortStableFunc(views, func(a, b adminapi.Key) int { return -byUse(rowOf(a), rowOf(b)) })
	for i, view := range views {
		if i == thingsShown {
			return append(things, thing{Name: "and " + counted(len(views)-i, "other key")})
		}
		one := thing{view.Name, view.Masked, "never used"}
		if view.LastUsed != nil {
			one.Note = "last used " + ago(d.now(), view.LastUsed.At) + " " + through(view.LastUsed.From)
		}
		if at.Operator {
			one.Note += ", of " + ownerOf(view.User, view.UserEmail).Label
		}
		things = append(things, one)
	}
	return things
}

// counted is a number of things: 1 key, 2 keys.
func counted(n int, noun string) string { return number(int64(n)) + " " + plural(int64(n), noun) }
