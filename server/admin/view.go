package admin

import (
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// clientView is a client as operators see it.
type clientView struct {
	ID          string       `json:"client_id"`
	Name        string       `json:"client_name"`
	Scope       string       `json:"scope"`
	GrantTypes  []string     `json:"grant_types"`
	AuthMethod  string       `json:"token_endpoint_auth_method,omitempty"`
	TokenTTL    int64        `json:"access_token_ttl,omitempty"`
	TokenFormat string       `json:"access_token_format"`
	Audience    []string     `json:"audience"`
	RateLimit   string       `json:"rate_limit,omitempty"`
	Disabled    bool         `json:"disabled"`
	IssuedAt    int64        `json:"client_id_issued_at"`
	CreatedAt   time.Time    `json:"created_at"`
	Secrets     []secretView `json:"secrets"`
}

// registeredView is the one answer with a secret in it (RFC 7591 §3.2.1).
type registeredView struct {
	clientView
	Secret          string `json:"client_secret,omitempty"`
	SecretExpiresAt int64  `json:"client_secret_expires_at"` // 0: never
}

func newClientView(c *store.Client, uses map[string]time.Time, now time.Time) clientView {
	m := c.Metadata
	return clientView{
		ID: c.ID, Name: m.Name, Scope: m.Scope,
		GrantTypes: append([]string{}, m.GrantTypes...), AuthMethod: m.AuthMethod,
		TokenTTL: int64(m.TokenTTL / time.Second), TokenFormat: m.TokenFormat,
		Audience: append([]string{}, m.Audience...), RateLimit: m.RateLimit.String(), Disabled: !c.Enabled,
		IssuedAt: m.CreatedAt.Unix(), CreatedAt: web.Time(m.CreatedAt),
		Secrets: secretViews(c, uses, now),
	}
}

// secretView is what may be known of a secret.
type secretView struct {
	ID         string     `json:"id"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastFour   *string    `json:"last_four"`
}

// secretViews shows the secrets that are live: one whose overlap is over may still be stored.
func secretViews(c *store.Client, uses map[string]time.Time, now time.Time) []secretView {
	views := []secretView{}
	for _, s := range c.Secrets {
		if s.ActiveAt(now) {
			views = append(views, newSecretView(s, uses[s.ID]))
		}
	}
	return views
}

func newSecretView(s store.Secret, used time.Time) secretView {
	return secretView{
		ID: s.ID, CreatedAt: web.Time(s.CreatedAt), LastUsedAt: web.TimeOrNull(used), ExpiresAt: web.TimeOrNull(s.ExpiresAt),
		LastFour: lastFour(s),
	}
}

// lastFour is null for an imported secret, whose characters may not be random.
func lastFour(s store.Secret) *string {
	if s.LastFour == "" {
		return nil
	}
	return &s.LastFour
}

// eventView is an entry of the audit trail.
type eventView struct {
	ID        string            `json:"id"`
	At        time.Time         `json:"at"`
	Actor     string            `json:"actor"`
	Via       string            `json:"via,omitempty"`
	Action    string            `json:"action"`
	Target    string            `json:"target"`
	Address   string            `json:"address"`
	RequestID string            `json:"request_id"`
	Detail    map[string]string `json:"detail"`
}

func newEventView(e store.Event) eventView {
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	return eventView{e.ID, web.Time(e.At), e.Actor, e.Via, e.Action, e.Target, e.Address, e.RequestID, e.Detail}
}
