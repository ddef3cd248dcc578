package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/store"
)

// Verifier tells what credentials are worth. All fields are required.
type Verifier struct {
	Store  *store.Store
	Issuer string
	Now    func() time.Time
}

// MaxToken is the longest token, in bytes, that is parsed. So none that is longer is issued.
const MaxToken = 8 << 10

// Presented is a credential as a caller presents it, before the store was asked. Only a record under its digest makes
// it ours, and then every byte of it is as it was issued. That is why no signature is checked here.
type Presented struct {
	Digest store.Digest
	claims *Claims // nil for an opaque token or an API key
}

// Parse tells apart, without the store, what cannot be an active credential of this server.
func (v *Verifier) Parse(text string) (p Presented, plausible bool) {
	switch {
	case len(text) > MaxToken:
		return p, false
	case credential.WellFormed(text):
	default:
		if p.claims = peek(text); p.claims == nil {
			return p, false
		}
		if p.claims.Issuer != v.Issuer || !p.claims.activeAt(v.Now()) {
			return p, false
		}
	}
	p.Digest = store.DigestOf(text)
	return p, true
}

// Resolve reads what was presented and returns its principal; nil if it is not active here. That is one round trip for a
// JWT, which names its client itself, and two for the others.
func (v *Verifier) Resolve(ctx context.Context, p Presented) (*Principal, error) {
	if p.claims != nil {
		client, record, err := v.Store.ClientAndCredential(ctx, p.claims.ClientID, p.Digest)
		if err != nil || client == nil {
			return nil, err
		}
		return v.Principal(ctx, p, record, client)
	}
	record, err := v.Store.Credential(ctx, p.Digest)
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	return v.Principal(ctx, p, record, nil)
}

// Principal is that of a credential with this record, or nil. The record must exist and not have expired. The owner must
// exist, be enabled, and be in the generation of the record. known is a client that was read already, which spares a
// round trip when the token is its own.
func (v *Verifier) Principal(ctx context.Context, p Presented, record *store.Credential, known *store.Client) (*Principal, error) {
	switch {
	case record == nil:
		return nil, nil
	case record.Key != nil:
		return v.keyPrincipal(ctx, record)
	}
	claims := v.Issued(p, record)
	if claims == nil {
		return nil, nil
	}
	client := known
	if client == nil || client.ID != claims.ClientID {
		var err error
		if client, err = v.Store.Client(ctx, claims.ClientID); err != nil {
			return nil, ignoreNotFound(err)
		}
	}
	if !client.Enabled || !record.Generation.Matches(client.Generation) {
		return nil, nil
	}
	return &Principal{Claims: claims, Client: client}, nil
}

func (v *Verifier) keyPrincipal(ctx context.Context, record *store.Credential) (*Principal, error) {
	if record.Key.ExpiresAt != 0 && v.Now().UnixMilli() >= record.Key.ExpiresAt {
		return nil, nil
	}
	user, err := v.Store.User(ctx, record.Key.UserID)
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	if !user.Enabled || !record.Generation.Matches(user.Generation) {
		return nil, nil
	}
	return &Principal{Key: record.Key, User: user}, nil
}

// Issued is what an access token with this record says, or nil if it has expired or the record is not one of an
// access token.
func (v *Verifier) Issued(p Presented, record *store.Credential) *Claims {
	c := p.claims
	if c == nil {
		c = &Claims{}
		if json.Unmarshal(record.Claims, c) != nil {
			return nil
		}
		c.Issuer = v.Issuer
	}
	if record.Key != nil || !c.activeAt(v.Now()) {
		return nil
	}
	return c
}

// ignoreNotFound makes no error of what was not found: it has no principal.
func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
