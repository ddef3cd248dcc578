package keys

import (
	"context"
	"errors"
	"net/http"
	"regexp"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

var keyIDs = regexp.MustCompile(`^key_[0-9a-f]{11}[a-z2-7]{16}$`)

// Find reads the key that the path's id names. What is not shaped like an id is nobody's, and not looked up: it
// may be a key that somebody took for its id.
func (k *Keeper) Find(r *http.Request) (*store.APIKey, error) {
	id := web.Path(r, "id")
	if !keyIDs.MatchString(id) {
		return nil, web.NotFound("Key")
	}
	key, err := k.Store.Key(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, web.NotFound("Key")
	}
	return key, err
}

// View shows a key and its last use.
func (k *Keeper) View(ctx context.Context, key *store.APIKey) (View, error) {
	uses, err := k.Store.KeyUses(ctx, []*store.APIKey{key})
	if err != nil {
		return View{}, err
	}
	return newView(key, uses[0]), nil
}

// Filter is a listing as its query asks for it.
type Filter struct {
	store.KeyFilter
	ForOperator bool // shows whose each key is

	limit  int
	cursor string
}

// ReadFilter reads q, state, limit and cursor.
func ReadFilter(r *http.Request) (f Filter, err error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return f, err
	}
	state, err := query.Text("state")
	if err != nil {
		return f, err
	}
	switch store.KeyState(state) {
	case store.AnyState, store.StateActive, store.StateInactive:
		return ReadFilterAs(r, store.KeyState(state))
	}
	return f, web.InvalidRequest("state: must be live or ended")
}

// ReadFilterAs is ReadFilter for a caller who has read the state.
func ReadFilterAs(r *http.Request, state store.KeyState) (f Filter, err error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return f, err
	}
	f.State = state
	if f.limit, err = query.Limit(); err != nil {
		return f, err
	}
	if f.Query, err = query.Text("q"); err != nil {
		return f, err
	}
	f.cursor, err = query.Text("cursor")
	return f, err
}

// Page is one page of a listing, the newest keys first.
func (k *Keeper) Page(r *http.Request, f Filter, cursors web.Cursors) (page web.Page[View], err error) {
	listing := []string{"keys", f.UserID, f.Query, string(f.State)}
	after, err := cursors.Open(f.cursor, listing...)
	if err != nil {
		return page, err
	}
	found, next, err := k.Store.Keys(r.Context(), f.KeyFilter, after, f.limit)
	if err != nil {
		return page, err
	}
	uses, err := k.Store.KeyUses(r.Context(), found)
	if err != nil {
		return page, err
	}
	page.Items = make([]View, len(found))
	for i, key := range found {
		page.Items[i] = newView(key, uses[i])
		if f.ForOperator {
			page.Items[i].User = key.UserID
		}
	}
	page.NextCursor = cursors.Seal(next, listing...)
	return page, nil
}
