package keys

import (
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// NewView is the one answer that has the key in it.
type NewView struct {
	ID        string     `json:"id"`
	Key       string     `json:"key"`
	Name      string     `json:"name"`
	Scope     string     `json:"scope"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// View shows a key that was just made.
func (m *Made) View() NewView {
	return NewView{m.ID, m.Plain, m.Name, m.Scope, web.Time(m.CreatedAt), web.TimeOrNull(m.ExpiresAt)}
}

// View is what may be known of a key.
type View struct {
	ID        string     `json:"id"`
	User      string     `json:"user,omitempty"` // for operators
	Name      string     `json:"name"`
	Scope     string     `json:"scope"`
	Masked    string     `json:"masked"`
	LastFour  string     `json:"last_four"`
	State     string     `json:"state"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	LastUsed  *UseView   `json:"last_used"`
	Ended     *EndView   `json:"ended"`
	RotatedTo *string    `json:"rotated_to"`
}

// UseView is a last use.
type UseView struct {
	At   time.Time `json:"at"`
	From string    `json:"from"`
}

// EndView is how a key ended.
type EndView struct {
	At     *time.Time `json:"at"`
	By     string     `json:"by"`
	Reason string     `json:"reason"`
}

// PreviousView is a key that was rotated, and its new end.
type PreviousView struct {
	ID        string    `json:"id"`
	ExpiresAt time.Time `json:"expires_at"`
}

// newView shows a key and its last use.
func newView(k *store.APIKey, used store.Use) View {
	v := View{
		ID: k.ID, Name: k.Name, Scope: k.Scope, Masked: k.Masked, LastFour: credential.LastFour(k.Masked),
		State: string(store.StateActive), CreatedAt: web.Time(k.CreatedAt), ExpiresAt: web.TimeOrNull(k.ExpiresAt),
	}
	if !used.At.IsZero() {
		v.LastUsed = &UseView{web.Time(used.At), used.From}
	}
	if k.Unreadable != nil {
		v.Name = "(cannot be read)"
	}
	if !k.Active {
		v.State, v.Ended = string(store.StateInactive), endOf(k)
	}
	if k.RotatedTo != "" {
		v.RotatedTo = &k.RotatedTo
	}
	return v
}

// endOf tells how a key ended: it was, or it expired, or nobody could write it down.
func endOf(k *store.APIKey) *EndView {
	switch {
	case k.Tombstone != nil:
		return &EndView{web.TimeOrNull(k.Tombstone.At), k.Tombstone.By, k.Tombstone.Reason}
	case k.RotatedTo != "":
		return &EndView{At: web.TimeOrNull(k.ExpiresAt), Reason: "rotated"}
	case !k.ExpiresAt.IsZero():
		return &EndView{At: web.TimeOrNull(k.ExpiresAt), Reason: "expired"}
	}
	return &EndView{Reason: "not recorded"}
}
