package bearer

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
)

// Door is a protected resource of Mintkeep's own.
type Door struct {
	Verifier *Verifier
	// Challenge is WWW-Authenticate without an error: the scheme and its parameters.
	Challenge string
	// Needed tells a caller without a credential what is needed.
	Needed string
	// Refused is the action of a refusal in the audit trail.
	Refused string
	// Guessable names a secret that anybody may try to guess here, and whose failures are counted by themselves;
	// empty: only credentials of ours are taken, whose checksum gives junk away, and the failures of an
	// address are counted.
	Guessable string
}

// Credential takes the one credential of the Authorization header (RFC 6750 §2.1). Without one the answer is a
// challenge that has no error (§3.1), and where there are two, it is a challenge as well (§3).
func (d *Door) Credential(r *http.Request) (string, error) {
	presented, err := fromHeader(r)
	if err != nil {
		err.Challenge = d.Challenge + `, error="invalid_request"`
		return "", err
	}
	if presented == "" {
		return "", &web.Error{
			Status: http.StatusUnauthorized, Code: "invalid_token", Challenge: d.Challenge, Description: d.Needed,
		}
	}
	return presented, nil
}

func fromHeader(r *http.Request) (string, *web.Error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return "", web.InvalidRequest("The Authorization header stands more than once")
	}
	if len(headers) == 0 {
		return "", nil
	}
	scheme, presented, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	return strings.Trim(presented, " "), nil
}

// Admit says who holds what was presented, if it may serve here: it must be live, have the scope that is
// needed (none: any will do), and a token must have been issued for Mintkeep itself, to a client that is still
// registered for the scope. The use of a key is noted.
func (d *Door) Admit(r *http.Request, presented, needed string) (*Holder, error) {
	t, plausible := d.Verifier.Look(presented)
	if !plausible {
		return nil, d.refuse(r, d.Guessable != "")
	}
	h, err := d.Verifier.Find(r.Context(), t)
	if err != nil {
		return nil, err
	}
	if h == nil || h.Claims != nil && !slices.Contains(h.Claims.Audience, d.Verifier.Issuer) {
		return nil, d.refuse(r, true)
	}
	d.note(r, h)
	if needed != "" && !h.may(needed) {
		if over, _ := d.Verifier.Store.CountFailure(r.Context(), "scope of "+h.Actor(), web.Address(r)); !over {
			web.AuditRefusal(r, d.Verifier.Store, h.Actor(), d.Refused) // a flood of them pushes nobody else's out
		}
		return nil, d.Forbidden(needed, "The credential lacks the scope "+needed)
	}
	return h, nil
}

// may says whether the holder has the scope, and still.
func (h *Holder) may(needed string) bool {
	return scope.Has(h.Scope(), needed) && (h.Client == nil || scope.Has(h.Client.Metadata.Scope, needed))
}

func (d *Door) note(r *http.Request, h *Holder) {
	ctx := r.Context()
	if h.Client != nil {
		web.Note(ctx, "client_id", h.Client.ID)
		return
	}
	web.Note(ctx, "user", h.User.ID)
	web.Note(ctx, "key", h.Key.ID)
	web.Via(ctx, h.Key.ID)
	d.Verifier.Store.RecordKeyUse(h.User.ID, h.Key.ID, web.Address(r).String())
}

// Forbidden is the 403 of RFC 6750 §3.1.
func (d *Door) Forbidden(needed, description string) *web.Error {
	return &web.Error{
		Status: http.StatusForbidden, Code: "insufficient_scope", Description: description,
		Challenge: d.Challenge + `, error="insufficient_scope", scope="` + needed + `"`,
	}
}

// refuse answers what is not valid here, the same whatever the reason. It may be one failure too many.
func (d *Door) refuse(r *http.Request, counts bool) error {
	if counts {
		over, retryAfter := d.Verifier.Store.CountFailure(r.Context(), d.Guessable, web.Address(r))
		if over {
			return web.TooManyRequests(retryAfter)
		}
		web.AuditRefusal(r, d.Verifier.Store, "", d.Refused)
	}
	return &web.Error{
		Status: http.StatusUnauthorized, Code: "invalid_token", Challenge: d.Challenge + `, error="invalid_token"`,
		Description: "The credential is unknown, expired, revoked or not valid here",
	}
}
