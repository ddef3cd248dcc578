package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/store"
)

// Verifier tells what credentials are worth. All fields are required.
type Verifier struct {
	Store  *store.Store
	Issuer string
	Now    func() time.Time
}

// maxToken is the longest token that is looked at, in bytes; what is issued is far shorter.
const maxToken = 8 << 10

// Shown is a credential as somebody presents it, before the store was asked. Only a record under its digest
// makes it ours, and then every byte of it is as it was issued. That is why no signature is checked here.
type Shown struct {
	Digest store.Digest
	claims *Claims // nil for an opaque token or an API key
}

// Look tells apart, without the store, what cannot be a live credential of this server.
func (v *Verifier) Look(presented string) (t Shown, plausible bool) {
	switch {
	case len(presented) > maxToken:
		return t, false
	case credential.WellFormed(presented):
	default:
		if t.claims = peek(presented); t.claims == nil {
			return t, false
		}
		if t.claims.Issuer != v.Issuer || !t.claims.liveAt(v.Now()) {
			return t, false
		}
	}
	t.Digest = store.DigestOf(presented)
	return t, true
}

// Holder is whoever a live credential belongs to, and what it lets them do: a client with an access token, or a
// person with an API key.
type Holder struct {
	Claims *Claims
	Client *store.Client

	Key  *store.KeyRecord
	User *store.User
}

// Scope is what the credential lets its holder do at this moment. A key's mintkeep:admin counts while its
// owner is the operator that they were when it was made.
func (h *Holder) Scope() string {
	if h.Key == nil {
		return h.Claims.Scope
	}
	if !h.Key.Operator.Matches(h.User.Operator) {
		return scope.Without(h.Key.Scope, scope.Admin)
	}
	return h.Key.Scope
}

// Actor is the holder's name in the audit trail.
func (h *Holder) Actor() string {
	if h.User != nil {
		return "user:" + h.User.ID
	}
	return "client:" + h.Client.ID
}

// Find reads what was presented and says who holds it; nil if it is not live here. That is one round trip for a
// JWT, which names its client itself, and two for the others.
func (v *Verifier) Find(ctx context.Context, t Shown) (*Holder, error) {
	if t.claims != nil {
		client, record, err := v.Store.ClientAndCredential(ctx, t.claims.ClientID, t.Digest)
		if err != nil || client == nil {
			return nil, err
		}
		return v.Holder(ctx, t, record, client)
	}
	record, err := v.Store.Credential(ctx, t.Digest)
	if err != nil {
		return nil, orNobody(err)
	}
	return v.Holder(ctx, t, record, nil)
}

// Holder says who holds a credential with this record, or nil: the record is there and has not expired, and the
// owner is there, enabled, and in the generation of the record. known is a client that was read already, which
// spares a round trip when the token is its own.
func (v *Verifier) Holder(ctx context.Context, t Shown, record *store.Credential, known *store.Client) (*Holder, error) {
	switch {
	case record == nil:
		return nil, nil
	case record.Key != nil:
		return v.keyHolder(ctx, record)
	}
	claims := v.Issued(t, record)
	if claims == nil {
		return nil, nil
	}
	client := known
	if client == nil || client.ID != claims.ClientID {
		var err error
		if client, err = v.Store.Client(ctx, claims.ClientID); err != nil {
			return nil, orNobody(err)
		}
	}
	if !client.Enabled || !record.Generation.Matches(client.Generation) {
		return nil, nil
	}
	return &Holder{Claims: claims, Client: client}, nil
}

func (v *Verifier) keyHolder(ctx context.Context, record *store.Credential) (*Holder, error) {
	if record.Key.ExpiresAt != 0 && v.Now().UnixMilli() >= record.Key.ExpiresAt {
		return nil, nil
	}
	user, err := v.Store.User(ctx, record.Key.UserID)
	if err != nil {
		return nil, orNobody(err)
	}
	if !user.Enabled || !record.Generation.Matches(user.Generation) {
		return nil, nil
	}
	return &Holder{Key: record.Key, User: user}, nil
}

// Issued is what an access token with this record says, or nil if it has expired or the record is not one of an
// access token.
func (v *Verifier) Issued(t Shown, record *store.Credential) *Claims {
	c := t.claims
	if c == nil {
		c = &Claims{}
		if json.Unmarshal(record.Claims, c) != nil {
			return nil
		}
		c.Issuer = v.Issuer
	}
	if record.Key != nil || !c.liveAt(v.Now()) {
		return nil
	}
	return c
}

// orNobody makes nobody of what was not found.
func orNobody(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
