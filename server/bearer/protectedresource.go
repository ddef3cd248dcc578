package bearer

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// ProtectedResource is one of Mintkeep's own APIs, /admin or /api, as RFC 6750 has a protected resource.
type ProtectedResource struct {
	Verifier *Verifier
	Audit    *audit.Log
	// Challenge is WWW-Authenticate without an error: the scheme and its parameters.
	Challenge string
	// Needed tells a caller without a credential what is needed.
	Needed string
	// Rejection is the action of a rejection in the audit log.
	Rejection audit.Action
	// TokensOnly: an API key is rejected, whatever its scope.
	TokensOnly bool
	// FailureBucket names a secret that any caller may try to guess here, whose failures are counted by themselves. Empty:
	// only credentials of ours are taken, whose checksum gives junk away, and the failures of an address are counted.
	FailureBucket string
}

// Credential takes the one credential of the Authorization header (RFC 6750 §2.1). Without one the answer is a
// challenge that has no error (§3.1), and where there are two, it is a challenge as well (§3).
func (p *ProtectedResource) Credential(r *http.Request) (string, error) {
	presented, err := fromHeader(r)
	if err != nil {
		err.Challenge = p.Challenge + `, error="invalid_request"`
		return "", err
	}
	if presented == "" {
		return "", &web.Error{
			Status: http.StatusUnauthorized, Code: "invalid_token", Challenge: p.Challenge, Description: p.Needed,
		}
	}
	return presented, nil
}

func fromHeader(r *http.Request) (string, *web.Error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return "", web.InvalidRequest("Duplicate Authorization header")
	}
	if len(headers) == 0 {
		return "", nil
	}
	return Token(headers[0]), nil
}

// Token is the credential in the value of an Authorization header; empty: it has another scheme than Bearer (RFC 6750 §2.1).
func Token(header string) string {
	scheme, presented, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.Trim(presented, " ")
}

// Admit returns the principal of what was presented, if it is valid here: it must be active, have the scope that is
// needed (empty: any will do), and a token must have been issued for Mintkeep itself, to a client that is still
// registered for the scope. A key must not be over its rate limit. The use of a key is recorded, or that it was rejected.
func (p *ProtectedResource) Admit(r *http.Request, presented, needed string) (*Principal, error) {
	parsed, plausible := p.Verifier.Parse(presented)
	if !plausible {
		return nil, p.reject(r, p.FailureBucket != "", "malformed", unknown)
	}
	who, err := p.Verifier.Resolve(r.Context(), parsed)
	if err != nil {
		return nil, err
	}
	switch {
	case who == nil:
		p.Verifier.CountRejected(parsed)
		return nil, p.reject(r, true, "not active", func(ctx context.Context) audit.Actor { return p.Verifier.owner(ctx, parsed) })
	case who.Key != nil && p.TokensOnly:
		p.Verifier.Store.RecordKeyRejection(who.Key.ID)
		return nil, p.reject(r, true, "not an access token", who.Actor)
	case who.Claims != nil && !slices.Contains(who.Claims.Audience, p.Verifier.Issuer):
		return nil, p.reject(r, true, "wrong audience", who.Actor)
	}
	note(r.Context(), who)
	if err := p.limit(r.Context(), who); err != nil {
		return nil, err
	}
	if needed != "" && !who.may(needed) {
		by := who.Actor(r.Context())
		if who.Key != nil {
			p.Verifier.Store.RecordKeyRejection(who.Key.ID)
		}
		// A flood of them pushes no other caller's rejections out of the log.
		if !p.Verifier.Store.CountRejection(r.Context(), by.Name) {
			p.Audit.Reject(r.Context(), by, p.Rejection, map[string]string{"reason": "insufficient scope", "needed": needed})
		}
		return nil, p.Forbidden(needed, "The credential lacks the scope "+needed)
	}
	if who.Key != nil {
		p.Verifier.Store.RecordKeyUse(who.User.ID, who.Key.ID, web.Address(r).String())
	}
	return who, nil
}

// note adds the principal to the log line of the request.
func note(ctx context.Context, who *Principal) {
	if who.Client != nil {
		web.Note(ctx, "client_id", who.Client.ID)
		return
	}
	web.Note(ctx, "user", who.User.ID)
	web.Note(ctx, "key", who.Key.ID)
}

// limit counts the use of an API key that has a rate limit, whatever the answer. This is a round trip more, for such a key
// alone.
func (p *ProtectedResource) limit(ctx context.Context, who *Principal) error {
	if who.Key == nil || who.Key.RateLimit == (store.Rate{}) {
		return nil
	}
	over, retryAfter, err := p.Verifier.Store.CountCall(ctx, who.Key.ID, who.Key.RateLimit)
	if over {
		p.Verifier.Store.RecordKeyRejection(who.Key.ID)
		rejected := web.TooManyRequests(retryAfter)
		rejected.Description = "The API key's rate limit of " + who.Key.RateLimit.String() + " is exceeded; try again later"
		return rejected
	}
	return err
}

// Forbidden is the 403 of RFC 6750 §3.1.
func (p *ProtectedResource) Forbidden(needed, description string) *web.Error {
	return &web.Error{
		Status: http.StatusForbidden, Code: "insufficient_scope", Description: description,
		Challenge: p.Challenge + `, error="insufficient_scope", scope="` + needed + `"`,
	}
}

// reject answers what is not valid here, the same whatever the reason, which the audit log has. It may be one failure too
// many. by is whose credential it is.
func (p *ProtectedResource) reject(r *http.Request, counts bool, reason string, by func(context.Context) audit.Actor) error {
	if counts {
		over, retryAfter := p.Verifier.Store.CountFailure(r.Context(), store.BearerFailures, p.FailureBucket, web.Address(r))
		if over {
			return web.TooManyRequests(retryAfter)
		}
		p.Audit.Reject(r.Context(), by(r.Context()), p.Rejection, audit.Reason(reason))
	}
	description := "The credential is unknown, expired, revoked or disabled, or it is an access token whose aud does not contain this server's issuer"
	if p.TokensOnly {
		description += ", or an API key, which is not accepted here"
	}
	return &web.Error{
		Status: http.StatusUnauthorized, Code: "invalid_token", Challenge: p.Challenge + `, error="invalid_token"`,
		Description: description,
	}
}

// unknown is whose a credential is that no record has.
func unknown(ctx context.Context) audit.Actor { return audit.Unauthenticated(ctx, "") }
