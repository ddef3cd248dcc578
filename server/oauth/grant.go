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
	"github.com/mintkeep/mintkeep/store"
)

// grant is one decided grant on its way through go-oauth2's manager, which hands our three parts only a
// context. The client in it is authenticated: nothing else puts one there.
type grant struct {
	client *store.Client
	claims bearer.Claims
	// record is filled by the generator and kept by the token store.
	record store.Credential
}

type grantKey struct{}

func withGrant(ctx context.Context, g *grant) context.Context {
	return context.WithValue(ctx, grantKey{}, g)
}

// errNoGrant is a programming mistake: the manager was called without a decided grant. It fails closed.
var errNoGrant = errors.New("no grant was decided")

func grantOf(ctx context.Context) (*grant, error) {
	g, ok := ctx.Value(grantKey{}).(*grant)
	if !ok {
		return nil, errNoGrant
	}
	return g, nil
}

// clientStore gives the manager the client that the request authenticated.
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

// authenticated is a client that has shown its secret already. Only clientStore makes one.
type authenticated struct{ id string }

func (a authenticated) GetID() string            { return a.id }
func (authenticated) GetSecret() string          { return "" }
func (authenticated) GetDomain() string          { return "" }
func (authenticated) IsPublic() bool             { return false }
func (authenticated) GetUserID() string          { return "" }
func (authenticated) VerifyPassword(string) bool { return true }

// generator makes the access token of a grant: signed, or opaque.
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
	access, err = n.ring.Sign(body)
	return access, "", err
}

// tokenStore keeps the tokens that the manager issues. That is all it is asked for: introspection and
// revocation look at the caller and the token in one round trip, which the other methods have no room
// for, and no other grant is offered.
type tokenStore struct{ store *store.Store }

func (t tokenStore) Create(ctx context.Context, info oauth2.TokenInfo) error {
	g, err := grantOf(ctx)
	if err != nil {
		return err
	}
	return t.store.SaveToken(ctx, store.DigestOf(info.GetAccess()), g.record, time.Unix(g.claims.Expires, 0))
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
