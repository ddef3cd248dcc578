package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/mintkeep/mintkeep/server/assertion"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// privateKeyJWT is a JWT that the client signs with its private key, instead of a secret (RFC 7523 §2.2). It is valid once.
type privateKeyJWT struct{}

// AssertionType is the one value of client_assertion_type that is accepted (RFC 7523 §2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func (privateKeyJWT) Name() string                  { return store.PrivateKeyJWT }
func (privateKeyJWT) BySecret() bool                { return false }
func (privateKeyJWT) Unpinned(c *store.Client) bool { return c.Metadata.HasKeys() }

// Present reads the form. A request may leave out client_id, because the assertion names the client as well.
func (m privateKeyJWT) Present(_ *http.Request, form url.Values) (p Presented, ok bool, err error) {
	text, kind := form.Get("client_assertion"), form.Get("client_assertion_type")
	if text == "" && kind == "" {
		return p, false, nil
	}
	p = Presented{ClientID: form.Get("client_id"), Credential: text, method: m}
	switch {
	case text == "":
		return p, true, web.InvalidRequest("client_assertion is missing")
	case kind != AssertionType:
		return p, true, web.InvalidRequest("client_assertion_type must be " + AssertionType)
	case len(text) > assertion.MaxSize:
		return p, true, web.InvalidRequest("client_assertion is longer than %d bytes", assertion.MaxSize)
	}
	p.assertion = assertion.Parse(text)
	if p.ClientID != "" {
		return p, true, nil
	}
	p.ClientID, p.named = namedClient(p.assertion), true
	switch {
	case p.assertion.Issuer != "" && p.assertion.Subject != "" && p.assertion.Issuer != p.assertion.Subject:
		return p, true, web.InvalidRequest("iss and sub of client_assertion differ; both must be the client id (RFC 7523 section 3)")
	case p.ClientID == "":
		p.rejected = assertion.Malformed
		return p, true, errInvalidClient
	}
	return p, true, nil
}

// namedClient is the client that an assertion names: by iss, or by sub, if one of the two is missing. An id that no client
// can have is none.
func namedClient(a *assertion.Assertion) string {
	id := a.Issuer
	if id == "" {
		id = a.Subject
	}
	if len(id) > maxClientID || !printable(id) {
		return ""
	}
	return id
}

// Verify makes the checks that need no key, and then looks for the key. An assertion that is rejected costs one verification:
// by a key of the client, or by a decoy.
func (m privateKeyJWT) Verify(ctx context.Context, s *Server, c *store.Client, p Presented) (Verified, error) {
	a := p.assertion
	v := Verified{KeyID: recordable(a.KeyID)}
	reason := a.Check(s.assertionRules(p.ClientID), s.now())
	switch {
	case reason != "":
	case c == nil || !allowed(c, m) || !c.Metadata.HasKeys():
		reason = assertion.KeyUnknown
	case !c.Enabled && c.Metadata.JWKSURI != "": // nothing is fetched for it, and its answer does not depend on what is there
		reason = disabledClient
	case c.Metadata.SigningAlg != "" && c.Metadata.SigningAlg != a.Algorithm:
		reason = assertion.Algorithm
	}
	if reason != "" {
		a.Decoy()
		v.Rejected = string(reason)
		return v, nil
	}
	key, reason, err := s.signer(ctx, c, a)
	if reason != "" {
		v.Rejected = string(reason)
		return v, err
	}
	v.Thumbprint = key.Thumbprint
	v.Used = store.NewReplayRecord(store.PrivateKeyJWT, c.ID, a.ID, a.Created, a.Expires)
	return v, nil
}

// assertionRules are what an assertion of a client must say. The issuer may be known only once the server listens.
func (s *Server) assertionRules(clientID string) assertion.Rules {
	r := assertion.Rules{ClientID: clientID, Issuer: s.config.Issuer}
	if s.config.TokenEndpointAudience() {
		r.TokenEndpoint = s.config.Issuer + TokenPath
	}
	return r
}

// signer returns the client's key that has signed the assertion. A fetched set that lacks the key may be out of date: then it
// is fetched once more.
func (s *Server) signer(ctx context.Context, c *store.Client, a *assertion.Assertion) (*jwks.Key, assertion.Reason, error) {
	keys, err := s.keysOf(ctx, c)
	if err != nil {
		return nil, assertion.KeysUnavailable, keysUnavailable(c, err)
	}
	key, reason := a.Signer(keys)
	if c.Metadata.JWKSURI == "" || !newKeyMayFit(a, reason) {
		return key, reason, nil
	}
	newer, err := s.remote.Refetch(ctx, c.Metadata.JWKSURI)
	switch {
	case err != nil:
		return nil, assertion.KeysUnavailable, keysUnavailable(c, err)
	case newer == keys: // they have rejected it
		return nil, reason, nil
	}
	key, reason = a.Signer(newer)
	return key, reason, nil
}

// keysUnavailable is the error of a client whose keys are not known, whatever the cause: it matches [store.ErrUnavailable].
func keysUnavailable(c *store.Client, cause error) error {
	if !errors.Is(cause, store.ErrUnavailable) {
		cause = fmt.Errorf("%w: %w", store.ErrUnavailable, cause)
	}
	return fmt.Errorf("the keys of client %s: %w", c.ID, cause)
}

// newKeyMayFit is whether a key that was published since may have signed the assertion.
func newKeyMayFit(a *assertion.Assertion, reason assertion.Reason) bool {
	switch reason {
	case assertion.KeyUnknown, assertion.Signature:
		return true
	case assertion.Algorithm: // no kid, and no key of this type yet
		return a.KeyID == ""
	}
	return false
}

// keysOf returns the keys that the client is registered with, or those at its URL.
func (s *Server) keysOf(ctx context.Context, c *store.Client) (*jwks.Set, error) {
	if len(c.Metadata.JWKS) > 0 {
		return s.registered.set(c.Metadata.JWKS)
	}
	return s.remote.Keys(ctx, c.Metadata.JWKSURI, c.Metadata.KeysRefreshed)
}

// recordable is what the audit log may keep of a kid, by which an operator recognises the key: nothing that is long, or could be
// a credential.
func recordable(kid string) string {
	if len(kid) > maxRecordedKeyID || !onlyOf(kid, visible) || credential.WellFormed(kid) {
		return ""
	}
	return kid
}
