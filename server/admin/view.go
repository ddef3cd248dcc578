package admin

import (
	"encoding/hex"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

func (a *Admin) clientView(c *store.Client, uses store.ClientUses) adminapi.Client {
	m := c.Metadata
	return adminapi.Client{
		ID: c.ID, Name: m.Name, Scope: m.Scope,
		GrantTypes: append([]string{}, m.GrantTypes...), AuthMethod: m.AuthMethod,
		TokenTTL: int64(m.TokenTTL / time.Second), TokenFormat: m.TokenFormat,
		Audience: append([]string{}, m.Audience...), RateLimit: m.RateLimit.String(), Disabled: !c.Enabled,
		IssuedAt: m.CreatedAt.Unix(), CreatedAt: web.Time(m.CreatedAt),
		ManagedBy: m.ManagedBy, ETag: web.ETag(clients.Version(c)), Secrets: a.secretViews(c, uses.Secrets),
		JWKS: m.JWKS, JWKSURI: m.JWKSURI, SigningAlg: m.SigningAlg, Keys: keyViews(&m, uses.Keys),
	}
}

// secretViews shows the secrets that are active: one that expired may still be stored.
func (a *Admin) secretViews(c *store.Client, uses map[string]time.Time) []adminapi.Secret {
	views := []adminapi.Secret{}
	for _, s := range c.Secrets {
		if s.ActiveAt(a.Now()) {
			views = append(views, adminapi.Secret{
				ID: s.ID, CreatedAt: web.Time(s.CreatedAt), LastUsedAt: web.TimeOrNull(uses[s.ID]), ExpiresAt: web.TimeOrNull(s.ExpiresAt),
				LastFour: lastFour(s), SHA256: digest(s), InUse: a.Clients.Offers.BySecret(c.Metadata.AuthMethod),
			})
		}
	}
	return views
}

// keyViews shows the keys of a client. Of a key at a URL, only the thumbprint is known.
func keyViews(m *store.ClientMetadata, uses map[string]time.Time) []adminapi.ClientKey {
	views := []adminapi.ClientKey{}
	for _, k := range clients.PublicKeys(m, uses) {
		view := adminapi.ClientKey{Thumbprint: k.Thumbprint, LastUsedAt: web.TimeOrNull(k.Used)}
		if k.ID != "" {
			view.ID = &k.ID
		}
		if len(k.Algorithms) == 1 {
			view.Algorithm = &k.Algorithms[0]
		}
		views = append(views, view)
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

// digest is in hexadecimal that of a secret which the server created, or of which it was given nothing else. An imported
// secret may be easy to guess.
func digest(s store.Secret) string {
	if s.LastFour == "" && !s.ByDigest {
		return ""
	}
	return hex.EncodeToString(s.Digest[:])
}

func (a *Admin) userView(u *store.User) adminapi.User {
	return adminapi.User{
		ID: u.ID, Email: u.Metadata.Email, Name: u.Metadata.Name, Role: u.Role(), Disabled: !u.Enabled,
		ManagedBy: u.Metadata.ManagedBy, CreatedAt: web.Time(u.Metadata.CreatedAt), PasswordSet: len(u.Password) > 0, KeyScopes: a.Keys.Allowed(u),
		KeyScopeDescriptions: a.Config.KeyScopes.Descriptions(),
	}
}
