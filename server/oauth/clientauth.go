package oauth

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/mintkeep/mintkeep/server/assertion"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// AuthMethod is one client authentication method (RFC 6749 §2.3). Each has a file of its own, clientauth_*.go, and a
// place in [AuthMethods].
type AuthMethod interface {
	// Name is the method's in the metadata (RFC 8414 §2) and in a registration (RFC 7591 §2).
	Name() string
	// BySecret is whether the method uses the client's secret. A client that is registered for another method is given no
	// secret.
	BySecret() bool
	// Unpinned is whether a client that is registered for no method may use this one.
	Unpinned(c *store.Client) bool
	// Present returns the credentials that a request presents by this method. ok is false if it presents none. An error
	// rejects the request. Present uses the request alone.
	Present(r *http.Request, form url.Values) (p Presented, ok bool, err error)
	// Verify checks the credentials for c, which is nil for an unknown client. Each kind of rejection costs the same. A
	// method that needs more than c reads it here, by s; an error is a failure to read, and no rejection.
	Verify(ctx context.Context, s *Server, c *store.Client, p Presented) (Verified, error)
}

// Presented is what a request presents to authenticate its client.
type Presented struct {
	ClientID   string
	Credential string // the secret, or what another method has in its place
	method     AuthMethod

	// Of an assertion:
	assertion *assertion.Assertion
	named     bool             // the request has no client_id; ClientID is the assertion's
	rejected  assertion.Reason // it was rejected before a client could be read
}

// Verified is what a method has found out about presented credentials.
type Verified struct {
	Rejected string    // the reason, for the audit log alone; empty: they are the client's
	SecretID string    // of the client's active secret, if that was presented
	Until    time.Time // when that secret expires; zero: never

	// Digest of the presented secret, by which the audit log may tell that it was this client's once.
	Digest store.Digest

	Thumbprint string              // of the client's key that has signed, if one has
	KeyID      string              // what a rejected assertion names as its key, for the audit log
	Used       *store.ReplayRecord // is written with what the request does; nil: the credentials may be used again
}

// The reasons for which a client authentication is rejected, as the audit log has them.
const (
	unknownClient    = "unknown"
	disabledClient   = "disabled"
	methodNotAllowed = "method not allowed" // the client is registered for another
	unsupported      = "unsupported"        // no method here reads what the request presents
	noSecret         = "no secret"          // the client has none
	wrongSecret      = "wrong secret"
	expiredSecret    = "expired secret"
)

// AuthMethods returns the client authentication methods that Mintkeep offers.
func AuthMethods() []AuthMethod {
	return []AuthMethod{clientSecretBasic{}, clientSecretPost{}, privateKeyJWT{}}
}

// Offers returns the names that a client may be registered with, if these are the client authentication methods.
func Offers(methods ...AuthMethod) clients.Offers {
	var o clients.Offers
	for _, m := range methods {
		o.AuthMethods = append(o.AuthMethods, m.Name())
		if m.BySecret() {
			o.SecretMethods = append(o.SecretMethods, m.Name())
		}
	}
	for _, g := range grantTypes {
		o.GrantTypes = append(o.GrantTypes, g.name())
	}
	return o
}

// present finds the one method by which the request authenticates its client, which is not to use two (RFC 6749 §2.3).
func (s *Server) present(r *http.Request, form url.Values) (Presented, error) {
	if err := rejectQuery(r); err != nil {
		return Presented{}, err
	}
	inForm := formCredentials(form) // a rejected request counts for these, whatever else it presents
	if len(r.Header["Authorization"]) > 1 {
		return inForm, web.InvalidRequest("Duplicate Authorization header")
	}
	var p Presented
	for _, m := range s.methods {
		found, ok, err := m.Present(r, form)
		switch {
		case ok && p.method != nil:
			return p, web.InvalidRequest("Multiple client authentication methods; use one")
		case err != nil && found.Credential != "":
			return found, err
		case err != nil:
			return inForm, err
		case ok:
			p = found
			p.method = m
		}
	}
	switch {
	case p.method == nil:
		p = inForm
	case inForm.ClientID != "" && inForm.ClientID != p.ClientID:
		return p, web.InvalidRequest("client_id differs from the client id in the Authorization header")
	}
	return p, p.check()
}

// caller is the client that sends a request, authenticated.
type caller struct {
	*store.Client
	presented Presented
	used      *store.ReplayRecord // is to be written with what the request does; nil: nothing is
	until     time.Time           // the presented secret expires then; zero: never, or no secret was presented

	thumbprint string // of the client's key that has signed, if one has
}

// authenticate returns the client that sends the request, after one round trip.
func (s *Server) authenticate(r *http.Request, form url.Values) (caller, error) {
	return s.authenticateBy(r, form, s.store.Client)
}

// authenticateBy is authenticate with another function to read the client, for a caller that reads more in the same
// round trip.
func (s *Server) authenticateBy(r *http.Request, form url.Values,
	read func(context.Context, string) (*store.Client, error),
) (caller, error) {
	p, err := s.present(r, form)
	if err != nil {
		return caller{}, s.reject(r, p, nil, Verified{Rejected: cmp.Or(string(p.rejected), unsupported)}, err)
	}
	c, err := read(r.Context(), p.lookupID())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return caller{}, err
	}
	web.Note(r.Context(), "client_id", p.name(c))
	v, err := s.verify(r.Context(), p, c)
	switch {
	case err != nil:
		return caller{}, s.unverified(r, p, c, v, err)
	case v.Rejected != "":
		return caller{}, s.failed(r, p, c, v)
	}
	return caller{c, p, v.Used, v.Until, v.Thumbprint}, nil
}

// failed rejects credentials that are not those of c, which is nil for an unknown client.
func (s *Server) failed(r *http.Request, p Presented, c *store.Client, v Verified) error {
	err := s.reject(r, p, c, v, errInvalidClient)
	if c != nil {
		err = &failedAuthentication{err, c.ID, v.Rejected}
	}
	return err
}

// used is called when the request has used the caller's credentials; err is the result. It turns [store.ErrReplayed] into a rejection
// of the credentials (RFC 7523 §3 item 7). Without an error it records the use of the client's key.
func (s *Server) used(r *http.Request, by caller, err error) error {
	switch {
	case errors.Is(err, store.ErrReplayed):
		return s.failed(r, by.presented, by.Client, Verified{Rejected: string(assertion.Replayed)})
	case err == nil && by.thumbprint != "":
		s.store.RecordClientKeyUse(by.ID, by.thumbprint)
	}
	return err
}

// use uses the assertion of the caller, if it has one, in a round trip of its own.
func (s *Server) use(r *http.Request, by caller) error {
	if by.used == nil {
		return nil
	}
	return s.used(r, by, s.store.UseOnce(r.Context(), by.used))
}

// unverified records that the credentials of a registered client could not be verified, if the method gives a reason. That
// is not the caller's failure, and is not counted as one.
func (s *Server) unverified(r *http.Request, p Presented, c *store.Client, v Verified, err error) error {
	if c == nil || v.Rejected == "" {
		return err
	}
	by := audit.Unauthenticated(r.Context(), p.name(c))
	if !s.store.CountRejection(r.Context(), by.Name) {
		s.audit.Reject(r.Context(), by, audit.ClientRejected, map[string]string{"reason": v.Rejected})
	}
	return &failedAuthentication{err, c.ID, v.Rejected}
}

// failedAuthentication is the error of a request that did not authenticate the registered client that it names. The
// caller sees the error within.
type failedAuthentication struct {
	error
	clientID, reason string
}

func (f *failedAuthentication) Unwrap() error { return f.error }

// verify checks the presented credentials, and that c may use them. c is nil for an unknown client.
func (s *Server) verify(ctx context.Context, p Presented, c *store.Client) (Verified, error) {
	v, err := p.method.Verify(ctx, s, c, p)
	switch {
	case err != nil:
		return v, err
	case c == nil:
		v.Rejected = unknownClient
	case !allowed(c, p.method):
		v.Rejected = methodNotAllowed
	case v.Rejected != "":
	case !c.Enabled:
		v.Rejected = disabledClient
	case v.SecretID != "":
		s.store.RecordSecretUse(c.ID, v.SecretID)
	}
	return v, nil
}

// allowed is whether the registration of c allows the method.
func allowed(c *store.Client, m AuthMethod) bool {
	if c.Metadata.AuthMethod == "" {
		return m.Unpinned(c)
	}
	return c.Metadata.AuthMethod == m.Name()
}

// reject counts a failed authentication, and turns one too many into a 429. The audit log keeps the reason, the caller
// does not learn it. Other rejections pass. So does that of a request without credentials: it guesses nothing.
func (s *Server) reject(r *http.Request, p Presented, c *store.Client, v Verified, err error) error {
	if !errors.Is(err, errInvalidClient) || p.Credential == "" {
		return err
	}
	over, retryAfter := s.store.CountFailure(r.Context(), store.ClientFailures, p.ClientID, web.Address(r))
	if over { // and not recorded: the metrics have the count of a flood
		return web.TooManyRequests(retryAfter)
	}
	detail := map[string]string{"reason": v.Rejected}
	if v.KeyID != "" {
		detail["kid"] = v.KeyID
	}
	if lastFour, former := formerSecret(c, v.Digest); former && lastFour != "" && v.SecretID == "" {
		detail["last_four"] = lastFour
	}
	s.audit.Reject(r.Context(), audit.Unauthenticated(r.Context(), p.name(c)), audit.ClientRejected, detail)
	return err
}
