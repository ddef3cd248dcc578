package admin

import (
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

func clientView(c *store.Client, uses map[string]time.Time, now time.Time) adminapi.Client {
	m := c.Metadata
	return adminapi.Client{
		ID: c.ID, Name: m.Name, Scope: m.Scope,
		GrantTypes: append([]string{}, m.GrantTypes...), AuthMethod: m.AuthMethod,
		TokenTTL: int64(m.TokenTTL / time.Second), TokenFormat: m.TokenFormat,
		Audience: append([]string{}, m.Audience...), RateLimit: m.RateLimit.String(), Disabled: !c.Enabled,
		IssuedAt: m.CreatedAt.Unix(), CreatedAt: web.Time(m.CreatedAt),
		Secrets: secretViews(c, uses, now),
	}
}

// secretViews shows the secrets that are active: one that expired may still be stored.
func secretViews(c *store.Client, uses map[string]time.Time, now time.Time) []adminapi.Secret {
	views := []adminapi.Secret{}
	for _, s := range c.Secrets {
		if s.ActiveAt(now) {
			views = append(views, adminapi.Secret{
				ID: s.ID, CreatedAt: web.Time(s.CreatedAt), LastUsedAt: web.TimeOrNull(uses[s.ID]), ExpiresAt: web.TimeOrNull(s.ExpiresAt),
				LastFour: lastFour(s),
			})
		}
	}
	return views
}

// lastFour is null for an imported secret, whose characters may not be random.
func lastFour(s store.Secret) *string {
	if s.LastFour == "" {
		return nil
	}
	return &s.LastFour
}

func (a *Admin) userView(u *store.User) adminapi.User {
	return adminapi.User{
		ID: u.ID, Email: u.Metadata.Email, Name: u.Metadata.Name, Role: u.Role(), Disabled: !u.Enabled,
		CreatedAt: web.Time(u.Metadata.CreatedAt), PasswordSet: len(u.Password) > 0, KeyScopes: a.Keys.Allowed(u),
	}
}

func eventView(e store.Event) adminapi.Event {
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	return adminapi.Event{
		ID: e.ID, At: web.Time(e.At), Actor: e.Actor, Via: e.Via, Action: e.Action, Target: e.Target,
		Address: e.Address, RequestID: e.RequestID, ServerRequestID: e.ServerRequestID, Detail: e.Detail,
	}
}
