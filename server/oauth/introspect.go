package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
)

// introspection is RFC 7662 §2.2 for an active credential. An inactive one has nothing but active.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope"`
	ClientID  string `json:"client_id,omitempty"` // of an access token
	TokenType string `json:"token_type"`
	Expires   int64  `json:"exp,omitempty"` // an API key may have none
	IssuedAt  int64  `json:"iat"`
	Subject   string `json:"sub"`
	Audience  any    `json:"aud"` // its form, see bearer.Audience
	Issuer    string `json:"iss"`
	ID        string `json:"jti"`

	// Of an API key: what its owner calls it, and what a service does with it. Username is the owner's email address (RFC 7662
	// §2.2), with MINTKEEP_INTROSPECT_OWNER=email only.
	Name      string            `json:"name,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	RateLimit string            `json:"rate_limit,omitempty"`
	Username  string            `json:"username,omitempty"`

	// With ties=true only. The answer depends on what the handles name. Left is in how many milliseconds the credential
	// expires by this server's clock, absent if it never does. State is what POST /oauth/confirm compares.
	Ties  []feed.Handle `json:"ties,omitempty"`
	Left  *int64        `json:"left,omitempty"`
	State string        `json:"state,omitempty"`
}

var inactive = struct {
	Active bool `json:"active"`
}{}

// Introspect answers POST /oauth/introspect (RFC 7662), for access tokens and API keys alike.
func (s *Server) Introspect(w http.ResponseWriter, r *http.Request) error {
	asked, principal, err := s.introspect(r)
	if err != nil {
		return err
	}
	// RFC 7662 §4: a caller that is not entitled to know gets the answer for a token that does not exist.
	switch {
	case principal != nil && !entitled(asked.caller.Client, principal):
		principal = nil
	case principal == nil && scope.Has(asked.caller.Metadata.Scope, scope.Introspect):
		s.verifier.CountRejected(asked.presented)
	}
	s.metrics.Introspected(principal != nil)
	s.store.Count(store.Introspections)
	if principal == nil {
		return web.JSON(w, http.StatusOK, inactive)
	}
	if principal.Key != nil {
		s.store.RecordKeyUse(principal.User.ID, principal.Key.ID, "client:"+asked.caller.ID)
	}
	answer := s.describe(principal)
	if asked.ties {
		s.tie(&answer, asked.presented, principal)
	}
	return web.JSON(w, http.StatusOK, answer)
}

// introspect authenticates the caller, by its access token or as a client, and returns the principal of the credential that
// it asks about; nil: that is inactive.
func (s *Server) introspect(r *http.Request) (asked inspection, principal *bearer.Principal, err error) {
	if token := bearerToken(r); token != "" {
		return s.introspectBy(r, token)
	}
	if asked, err = s.inspect(r, s.verifier.Parse); err != nil {
		return asked, nil, err
	}
	if asked.ties, err = wantsTies(asked.form); err != nil {
		return asked, nil, err
	}
	if asked.ties {
		if err := s.mayKeep(asked.caller.Client); err != nil {
			return asked, nil, err
		}
	}
	principal, err = s.verifier.Principal(r.Context(), asked.presented, asked.record, asked.caller.Client, asked.caller.used)
	return asked, principal, s.used(r, asked.caller, err)
}

// introspectBy is introspect for a caller with an access token, which costs up to two round trips more.
func (s *Server) introspectBy(r *http.Request, token string) (asked inspection, principal *bearer.Principal, err error) {
	form, err := web.Form(r)
	if err != nil {
		return asked, nil, err
	}
	who, err := s.admit(r, token, form)
	if lacks := (*web.Error)(nil); errors.As(err, &lacks) && lacks.Status == http.StatusForbidden {
		lacks.Status = http.StatusUnauthorized // RFC 7662 §2.3, where RFC 6750 §3.1 has 403
	}
	if err != nil {
		return asked, nil, err
	}
	if !form.Has("token") {
		return asked, nil, errNoToken
	}
	if asked.ties, err = wantsTies(form); err != nil {
		return asked, nil, err
	}
	asked.caller.Client = who.Client
	var plausible bool
	if asked.presented, plausible = s.verifier.Parse(form.Get("token")); plausible {
		principal, err = s.verifier.Resolve(r.Context(), asked.presented)
	}
	return asked, principal, err
}

// entitled is whether the caller may introspect everything, or asks about its own token.
func entitled(caller *store.Client, principal *bearer.Principal) bool {
	return principal.Client != nil && principal.Client.ID == caller.ID || scope.Has(caller.Metadata.Scope, scope.Introspect)
}

func (s *Server) describe(principal *bearer.Principal) introspection {
	if key := principal.Key; key != nil {
		return introspection{
			Active: true, Scope: principal.Scope(), TokenType: "api_key",
			Expires: key.ExpiresAt / 1000, IssuedAt: key.CreatedAt / 1000, Subject: principal.User.ID,
			Audience: s.config.Audience, Issuer: s.config.Issuer, ID: key.ID,
			Name: key.Name, Metadata: key.Metadata, RateLimit: key.RateLimit.String(), Username: s.username(principal),
		}
	}
	claims := principal.Claims
	return introspection{
		Active: true, Scope: claims.Scope, ClientID: claims.ClientID, TokenType: "bearer",
		Expires: claims.Expires, IssuedAt: claims.IssuedAt, Subject: claims.Subject,
		Audience: claims.Audience.Form(), Issuer: claims.Issuer, ID: claims.ID,
	}
}

// username is the email address of a key's owner, if services are told.
func (s *Server) username(principal *bearer.Principal) string {
	if s.config.IntrospectOwner != config.OwnerEmail {
		return ""
	}
	return principal.User.Metadata.Email
}

// inspection is a credential that a client asks about: the request, who asks, what was presented, and the record under its
// digest, or nil.
type inspection struct {
	form      url.Values
	ties      bool // the caller of introspection asks for the ties
	caller    caller
	presented bearer.Presented
	record    *store.Credential
}

// inspect authenticates the client of a request about a credential and reads its record in the same
// round trip. What parse rules out is not read.
func (s *Server) inspect(r *http.Request, parse func(string) (bearer.Presented, bool)) (asked inspection, err error) {
	form, err := web.Form(r)
	if err != nil {
		return asked, err
	}
	read := s.store.Client
	presented, plausible := parse(form.Get("token"))
	if plausible {
		read = func(ctx context.Context, id string) (c *store.Client, err error) {
			c, asked.record, err = s.store.ClientAndCredential(ctx, id, presented.Digest)
			return c, err
		}
	}
	asked.form, asked.presented = form, presented
	if asked.caller, err = s.authenticateBy(r, form, read); err != nil {
		return asked, err
	}
	if !form.Has("token") {
		return asked, errNoToken
	}
	return asked, nil
}
