package keys

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

var keyIDs = regexp.MustCompile(`^key_[0-9a-f]{11}[a-z2-7]{16}$`)

// Key reads a key. What is not shaped like an id is not looked up: it may be a key that a caller took for its id.
func (g *Registry) Key(ctx context.Context, id string) (*store.APIKey, error) {
	if !keyIDs.MatchString(id) {
		return nil, web.NotFound("Key")
	}
	key, err := g.Store.Key(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, web.NotFound("Key")
	}
	return key, err
}

// View shows a key, its last use, and its uses by day.
func (g *Registry) View(ctx context.Context, key *store.APIKey) (adminapi.Key, error) {
	uses, err := g.Store.KeyUses(ctx, []*store.APIKey{key})
	if err != nil {
		return adminapi.Key{}, err
	}
	v := newView(key, uses[0], g.Now())
	v.Days, err = g.days(ctx, key.ID)
	return v, err
}

// Filter is a listing as its query asks for it.
type Filter struct {
	store.KeyFilter
	ForOperator bool // shows whose each key is

	limit  int
	cursor string
	unused string // as UnusedSince was asked for
}

// states are what a listing may be narrowed to.
var states = append(store.KeyStates(), store.AnyState, store.StateLive, store.StateEnded)

// ReadFilter reads q, state, limit and cursor.
func ReadFilter(query web.Query) (f Filter, err error) {
	state, err := query.Text("state")
	if err != nil {
		return f, err
	}
	if !slices.Contains(states, store.KeyState(state)) {
		return f, web.InvalidRequest("state: must be active, expiring, disabled, expired, revoked, rotated or leaked; or live for the first three, ended for the others")
	}
	return ReadFilterAs(query, store.KeyState(state))
}

// ReadFilterAs is ReadFilter for a caller who has read the state.
func ReadFilterAs(query web.Query, state store.KeyState) (f Filter, err error) {
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
func (g *Registry) Page(ctx context.Context, f Filter, cursors web.Cursors) (page adminapi.Page[adminapi.Key], err error) {
	listing := []string{"keys", f.UserID, f.Query, string(f.State), f.unused}
	after, err := cursors.Open(f.cursor, listing...)
	if err != nil {
		return page, err
	}
	found, next, err := g.Store.Keys(ctx, f.KeyFilter, after, f.limit)
	if err != nil {
		return page, err
	}
	page.Items, err = g.Views(ctx, found, f.ForOperator)
	page.NextCursor = cursors.Seal(next, listing...)
	return page, err
}

// Views shows keys and their last uses; to operators, with whose each is.
func (g *Registry) Views(ctx context.Context, found []*store.APIKey, forOperator bool) ([]adminapi.Key, error) {
	uses, err := g.Store.KeyUses(ctx, found)
	if err != nil {
		return nil, err
	}
	views := make([]adminapi.Key, len(found))
	for i, key := range found {
		views[i] = newView(key, uses[i], g.Now())
	}
	if forOperator {
		err = g.nameOwners(ctx, found, views)
	}
	return views, err
}

// Notices are the keys of a user that they should look at.
func (g *Registry) Notices(ctx context.Context, userID string) ([]adminapi.KeyNotice, error) {
	found, err := g.Store.KeyNotices(ctx, userID)
	notices := make([]adminapi.KeyNotice, len(found))
	for i, n := range found {
		notices[i] = adminapi.KeyNotice{KeyID: n.KeyID, Kind: string(n.State), At: web.Time(n.At)}
	}
	return notices, err
}

// nameOwners adds to each view whose key it is.
func (g *Registry) nameOwners(ctx context.Context, of []*store.APIKey, views []adminapi.Key) error {
	ids := make([]string, len(of))
	for i, key := range of {
		ids[i] = key.UserID
	}
	names, err := g.Store.Names(ctx, ids, nil, nil)
	if err != nil {
		return err
	}
	for i, id := range ids {
		views[i].User, views[i].UserEmail = id, names.Users[id]
	}
	return nil
}

// ViewForOperator is View with whose key it is.
func (g *Registry) ViewForOperator(ctx context.Context, key *store.APIKey) (adminapi.Key, error) {
	view, err := g.View(ctx, key)
	if err != nil {
		return view, err
	}
	views := []adminapi.Key{view}
	err = g.nameOwners(ctx, []*store.APIKey{key}, views)
	return views[0], err
}

func newView(k *store.APIKey, used store.Use, now time.Time) adminapi.Key {
	state := k.State(now)
	v := adminapi.Key{
		ID: k.ID, KeyMembers: membersOf(k), Masked: k.Masked, LastFour: credential.LastFour(k.Masked),
		State: string(state), CreatedAt: web.Time(k.CreatedAt), ExpiresAt: web.TimeOrNull(k.ExpiresAt),
	}
	if !used.At.IsZero() {
		v.LastUsed = &adminapi.KeyUse{At: web.Time(used.At), From: used.From}
	}
	if k.Unreadable != nil {
		v.Name = "(unreadable)"
	}
	switch state {
	case store.StateActive, store.StateExpiring:
	case store.StateDisabled:
		v.DisabledAt, v.DisabledBy = web.TimeOrNull(k.Disabled.At), k.Disabled.By
	default:
		v.Revocation = revocationOf(k, state)
	}
	if k.Tombstone != nil {
		v.ExpiresAt = nil // it would have expired then
	}
	if k.RotatedTo != "" {
		v.RotatedTo = &k.RotatedTo
	}
	return v
}

func membersOf(k *store.APIKey) adminapi.KeyMembers {
	return adminapi.KeyMembers{
		Name: k.Name, Description: k.Description, Scope: k.Scope, Metadata: k.Metadata, RateLimit: k.RateLimit.String(), Disabled: k.Disabled != nil,
	}
}

// revocationOf tells how a key in this state became inactive: it was revoked or rotated, it expired, or its tombstone could not
// be written.
func revocationOf(k *store.APIKey, state store.KeyState) *adminapi.KeyRevocation {
	switch {
	case k.Tombstone != nil:
		return &adminapi.KeyRevocation{At: web.TimeOrNull(k.Tombstone.At), By: k.Tombstone.By, Reason: k.Tombstone.Reason}
	case state == store.StateRevoked:
		return &adminapi.KeyRevocation{Reason: "not recorded"}
	}
	return &adminapi.KeyRevocation{At: web.TimeOrNull(k.ExpiresAt), Reason: string(state)} // expired, or rotated
}
