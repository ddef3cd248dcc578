package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// The members that make up the keys of a client.
const (
	jwksMember       = "jwks"
	jwksURIMember    = "jwks_uri"
	methodMember     = "token_endpoint_auth_method"
	signingAlgMember = "token_endpoint_auth_signing_alg"
)

func setJWKS(m *store.ClientMetadata, raw json.RawMessage, _ rules) (err error) {
	m.JWKS = nil
	if web.IsNull(raw) {
		return nil
	}
	m.JWKS, _, err = jwks.ParseRegistered(raw)
	return err
}

func setJWKSURI(m *store.ClientMetadata, raw json.RawMessage, in rules) error {
	if web.IsNull(raw) {
		m.JWKSURI, m.KeysRefreshed = "", 0
		return nil
	}
	uri, err := web.Decode[string](raw, "a string")
	if err == nil && in.checkURI != nil {
		err = in.checkURI(uri)
	}
	if err == nil {
		m.JWKSURI = uri
	}
	return err
}

func setSigningAlg(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	m.SigningAlg = ""
	if web.IsNull(raw) {
		return nil
	}
	alg, err := web.Decode[string](raw, "a string")
	if err != nil {
		return err
	}
	if !slices.Contains(jwks.Algorithms, alg) {
		return fmt.Errorf("must be %s", Either(jwks.Algorithms))
	}
	m.SigningAlg = alg
	return nil
}

// relate checks what the members about keys ask of each other. asked is the request: the error is at the member that the
// request has.
func relate(m *store.ClientMetadata, asked web.Object) error {
	if !slices.ContainsFunc([]string{jwksMember, jwksURIMember, methodMember, signingAlgMember}, asked.Names) {
		return nil // a change of something else is not to fail for what was registered before
	}
	switch {
	case len(m.JWKS) > 0 && m.JWKSURI != "": // RFC 7591 §2
		member, other := jwksURIMember, jwksMember
		if !asked.Has(member) {
			member, other = other, member
		}
		return wrongMember(member, fmt.Errorf("must not be registered together with %s; set %s to null to replace it", other, other))
	case m.AuthMethod == store.PrivateKeyJWT && !m.HasKeys():
		if asked.Has(methodMember) {
			return wrongMember(methodMember, fmt.Errorf("%s needs a key: register %s or %s", store.PrivateKeyJWT, jwksMember, jwksURIMember))
		}
		member := jwksMember
		if !asked.Names(member) {
			member = jwksURIMember
		}
		return wrongMember(member, fmt.Errorf("is needed by %s; replace it, or set %s to null as well", store.PrivateKeyJWT, methodMember))
	case m.SigningAlg != "" && !m.HasKeys() && asked.Has(signingAlgMember):
		return wrongMember(signingAlgMember, fmt.Errorf("needs a key: register %s or %s", jwksMember, jwksURIMember))
	case m.SigningAlg != "" && len(m.JWKS) > 0 && !fitsOne(m):
		if asked.Has(signingAlgMember) {
			return wrongMember(signingAlgMember, errors.New("fits no key of the client"))
		}
		return wrongMember(jwksMember, fmt.Errorf("has no key for %s, which is the %s of the client", m.SigningAlg, signingAlgMember))
	}
	return nil
}

// fitsOne is whether a registered key can sign with the registered algorithm.
func fitsOne(m *store.ClientMetadata) bool {
	return slices.ContainsFunc(Keys(m), func(k jwks.Key) bool { return k.Fits(m.SigningAlg) })
}

// checkSecret rejects a change from the client's key to a secret that it does not have: it could not authenticate any more.
func (g *Registry) checkSecret(c *store.Client, after *store.ClientMetadata) error {
	method := after.AuthMethod
	active := func(s store.Secret) bool { return s.ActiveAt(g.Now()) }
	if method == c.Metadata.AuthMethod || method == "" || !g.Offers.BySecret(method) || !c.Metadata.HasKeys() || slices.ContainsFunc(c.Secrets, active) {
		return nil
	}
	return wrongMember(methodMember, fmt.Errorf("%s needs a secret, and the client has none: set it to null, create a secret, and then set it to %s", method, method))
}
