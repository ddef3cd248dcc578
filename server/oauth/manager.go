package oauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/tracing"
	"github.com/mintkeep/mintkeep/store"
)

type grantKey struct{}

func withGrant(ctx context.Context, g *grant) context.Context {
	return context.WithValue(ctx, grantKey{}, g)
}

// errNoGrant is a programming error: the manager was called without a decided grant. It fails closed.
var errNoGrant = errors.New("no grant was decided")

func grantOf(ctx context.Context) (*grant, error) {
	g, ok := ctx.Value(grantKey{}).(*grant)
	if !ok {
		return nil, errNoGrant
	}
	return g, nil
}

// clientStore gives the manager the authenticated client of the request.
type clientStore struct{}

func (clientStore) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	g, err := grantOf(ctx)
	if err != nil {
		return nil, err
	}
	if g.client.ID != id {
		return nil, errNoGrant
	}
	return authenticated{id}, nil
}

// authenticated is a client whose authentication is done. Only clientStore creates one.
type authenticated struct{ id string }

func (a authenticated) GetID() string            { return a.id }
func (authenticated) GetSecret() string          { return "" }
func (authenticated) GetDomain() string          { return "" }
func (authenticated) IsPublic() bool             { return false }
func (authenticated) GetUserID() string          { return "" }
func (authenticated) VerifyPassword(string) bool { return true }

// generator creates the access token of a grant: signed, or opaque. An opaque one has the same length whatever it says.
type generator struct {
	ring  *signing.Ring
	brand string
}

func (n generator) Token(ctx context.Context, _ *oauth2.GenerateBasic, _ bool) (access, refresh string, err error) {
	g, err := grantOf(ctx)
	if err != nil {
		return "", "", err
	}
	g.claims.ID = rand.Text() // 130 bits: no two tokens are equal
	g.record.Generation = g.client.Generation
	body, err := json.Marshal(&g.claims)
	if err != nil {
		return "", "", err
	}
	if g.client.Metadata.TokenFormat == store.Opaque {
		g.record.Claims = body
		return credential.NewToken(n.brand), "", nil
	}
	signed := tracing.Begin(ctx, "sign JWT")
	access, err = n.ring.Sign(body)
	signed()
	if len(access) > bearer.MaxToken {
		return "", "", errTokenTooLong
	}
	return access, "", err
}

// tokenStore writes the tokens that the manager issues, and does nothing else: introspection and revocation read the
// caller and the token in one round trip, for which the other methods have no room, and no grant here needs them.
type tokenStore struct{ store *store.Store }

func (t tokenStore) Create(ctx context.Context, info oauth2.TokenInfo) error {
	g, err := grantOf(ctx)
	if err != nil {
		return err
	}
	return t.store.SaveToken(ctx, store.DigestOf(info.GetAccess()), g.record, time.Unix(g.claims.Expires, 0), g.used)
}

var errNotOffered = errors.New("this grant is not offered")

func (tokenStore) RemoveByCode(context.Context, string) error    { return errNotOffered }
func (tokenStore) RemoveByAccess(context.Context, string) error  { return errNotOffered }
func (tokenStore) RemoveByRefresh(context.Context, string) error { return errNotOffered }

func (tokenStore) GetByCode(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNotOffered
}

func (tokenStore) GetByAccess(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNotOffered
}

func (tokenStore) GetByRefresh(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNotOffered
}
