package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
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

// ClientID is the client that a JWT names; false: it is none. Nothing vouches for it before there is a record.
func (p Presented) ClientID() (id string, isJWT bool) {
	if p.claims == nil {
		return "", false
	}
	return p.claims.ClientID, true
}

// Parse tells apart, without the store, what cannot be an active credential of this server.
func (v *Verifier) Parse(text string) (p Presented, plausible bool) {
	p, plausible = ParseShape(text)
	if p.claims != nil && (p.claims.Issuer != v.Issuer || !p.claims.activeAt(v.Now())) {
		return Presented{}, false
	}
	return p, plausible
}

// ParseShape is Parse for a revocation, for which the shape alone decides: another replica, with another clock or another
// issuer, may take the credential for active.
func ParseShape(text string) (p Presented, plausible bool) {
	switch {
	case len(text) > MaxToken:
		return p, false
	case credential.WellFormed(text):
	default:
		if p.claims = peek(text); p.claims == nil {
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
		return v.Principal(ctx, p, record, client, nil)
	}
	record, err := v.Store.Credential(ctx, p.Digest)
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	return v.Principal(ctx, p, record, nil, nil)
}

// Principal is that of a credential with this record, or nil. The record must exist and not have expired. The owner must
// exist, be enabled, and be in the generation of the record. known is a client that was read already, which spares a
// round trip when the token is its own.
//
// used is the assertion by which the caller has authenticated, or nil. It is used in the round trip that reads the owner, or
// in one of its own: [store.ErrReplayed] comes before any answer.
func (v *Verifier) Principal(ctx context.Context, p Presented, record *store.Credential, known *store.Client, used *store.ReplayRecord) (*Principal, error) {
	switch {
	case record == nil:
		return nil, v.use(ctx, used)
	case record.Key != nil:
		return v.keyPrincipal(ctx, record, used)
	}
	claims := v.Issued(p, record)
	if claims == nil || !claims.activeAt(v.Now()) {
		return nil, v.use(ctx, used)
	}
	client := known
	if client == nil || client.ID != claims.ClientID {
		var err error
		if client, err = v.Store.ClientOnce(ctx, claims.ClientID, used); err != nil {
			return nil, ignoreNotFound(err)
		}
	} else if err := v.use(ctx, used); err != nil {
		return nil, err
	}
	if !tokenOf(record, client) {
		return nil, nil
	}
	return &Principal{Claims: claims, Client: client, Record: record}, nil
}

// use uses an assertion where nothing is read.
func (v *Verifier) use(ctx context.Context, used *store.ReplayRecord) error {
	if used == nil {
		return nil
	}
	return v.Store.UseOnce(ctx, used)
}

func (v *Verifier) keyPrincipal(ctx context.Context, record *store.Credential, used *store.ReplayRecord) (*Principal, error) {
	if v.keyExpired(record.Key) {
		return nil, v.use(ctx, used)
	}
	user, err := v.Store.UserOnce(ctx, record.Key.UserID, used)
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	if !keyOf(record, user) {
		return nil, nil
	}
	return &Principal{Key: record.Key, User: user, Record: record}, nil
}

// owner is whose credential was presented, if there is a record of it although it is not active: that of a client or a user that
// is disabled, or a token that was revoked with all others. A caller can claim nothing here: the record is found by the digest.
func (v *Verifier) owner(ctx context.Context, p Presented) audit.Actor {
	record, err := v.Store.Credential(ctx, p.Digest)
	if err != nil {
		return unknown(ctx)
	}
	if record.Key != nil {
		return audit.Key(ctx, record.Key.UserID, record.Key, "")
	}
	if claims := v.Issued(p, record); claims != nil {
		return audit.Client(ctx, claims.ClientID)
	}
	return unknown(ctx)
}

// CountRejected counts the rejection of a credential that is not active. The store finds out later whether it was an API key.
func (v *Verifier) CountRejected(p Presented) {
	if p.claims == nil && p.Digest != (store.Digest{}) {
		v.Store.RecordRejection(p.Digest)
	}
}

// Issued is what an access token with this record says, expired or not, or nil if the record is not one of an access token.
func (v *Verifier) Issued(p Presented, record *store.Credential) *Claims {
	if record.Key != nil {
		return nil
	}
	if p.claims != nil {
		return p.claims
	}
	c := &Claims{}
	if json.Unmarshal(record.Claims, c) != nil {
		return nil
	}
	c.Issuer = v.Issuer
	return c
}

// ignoreNotFound makes no error of what was not found: it has no principal.
func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
