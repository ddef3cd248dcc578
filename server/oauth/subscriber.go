package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
)

// subscriber is the client of a service that keeps answers of introspection. It is registered for mintkeep:introspect.
type subscriber struct {
	ClientID string

	// Depends are the handles of what the authentication depends on. It does not hold longer than Until, if that is set,
	// nor for another request if Once is set: an assertion is used up by this one.
	Depends []feed.Handle
	Until   time.Time
	Once    bool
}

// subscriber authenticates the caller of a route for such services: as a client by any method, or by an access token of
// a client (RFC 6750 §2.1). The error is the answer.
func (s *Server) subscriber(r *http.Request) (subscriber, error) {
	token := bearerToken(r)
	if token != "" {
		who, err := s.admit(r, token, nil)
		if err != nil {
			return subscriber{}, err
		}
		return subscriber{
			ClientID: who.Client.ID,
			Depends:  []feed.Handle{feed.OfCredential(store.DigestOf(token)), feed.OfClient(who.Client.ID)},
			Until:    time.Unix(who.Claims.Expires, 0),
		}, nil
	}
	form, err := memberCredentials(r)
	if err != nil {
		return subscriber{}, err
	}
	client, err := s.authenticate(r, form)
	if err != nil {
		return subscriber{}, err
	}
	if err := s.mayKeep(client.Client); err != nil {
		return subscriber{}, err
	}
	if err := s.use(r, client); err != nil {
		return subscriber{}, err
	}
	return subscriber{
		ClientID: client.ID, Depends: []feed.Handle{feed.OfAuthentication(client.ID), feed.OfClient(client.ID)},
		Until: client.until, Once: client.used != nil,
	}, nil
}

// mayKeep rejects a client that is not registered for mintkeep:introspect. A service that keeps answers is told so, and not that a
// credential is inactive: its callers would be rejected for a configuration error of the service.
func (s *Server) mayKeep(c *store.Client) error {
	if scope.Has(c.Metadata.Scope, scope.Introspect) {
		return nil
	}
	return s.subscribers.Forbidden(scope.Introspect, "The client is not registered for the scope "+scope.Introspect)
}

// subscriberResource checks the access token of a subscriber.
func subscriberResource(v *bearer.Verifier, log *audit.Log) *bearer.ProtectedResource {
	return &bearer.ProtectedResource{
		Verifier: v, Audit: log, Challenge: `Bearer realm="mintkeep"`, Rejection: audit.APIRejected, TokensOnly: true,
		Needed: "Client authentication, or Authorization: Bearer with an access token that has the scope " + scope.Introspect + ", is needed",
	}
}

// admit is the principal of an access token with mintkeep:introspect. Nothing else may authenticate the caller then
// (RFC 6749 §2.3).
func (s *Server) admit(r *http.Request, token string, form url.Values) (*bearer.Principal, error) {
	if err := rejectQuery(r); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(credentialParameters, form.Has) {
		return nil, errMultipleMethods
	}
	return s.subscribers.Admit(r, token, scope.Introspect)
}

// credentialParameters are those by which a client authenticates in the body.
var credentialParameters = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}

// onlyOneMethod rejects a body of JSON that has client authentication beside an Authorization header (RFC 6749 §2.3).
func onlyOneMethod(r *http.Request, o web.Object) error {
	if len(r.Header["Authorization"]) > 0 && slices.ContainsFunc(credentialParameters, o.Has) {
		return errMultipleMethods
	}
	return nil
}

// bearerToken is the credential of an Authorization header of the scheme Bearer; empty: there is none.
func bearerToken(r *http.Request) string {
	headers := r.Header["Authorization"]
	if len(headers) != 1 {
		return ""
	}
	return bearer.Token(headers[0])
}

// memberCredentials are the parameters by which a client authenticates in a body that is JSON: members of the same names.
// A request with an Authorization header has none.
func memberCredentials(r *http.Request) (url.Values, error) {
	if len(r.Header["Authorization"]) > 0 {
		return nil, nil
	}
	o, err := web.ReadObject(r)
	if err != nil {
		return nil, err
	}
	form := url.Values{}
	for _, name := range credentialParameters {
		if !o.Has(name) {
			continue
		}
		text, err := web.Decode[string](o[name], "a string")
		if err != nil {
			return nil, web.InvalidRequest("%s: %v", name, err)
		}
		if text != "" {
			form.Set(name, text)
		}
	}
	return form, nil
}
