package assertion

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/jwks"
)

// Reason is why an assertion is rejected, for the audit log: the caller does not learn it. Empty: it is accepted.
type Reason string

// The reasons.
const (
	Malformed       Reason = "malformed"     // no JWS, or one with a member twice or with crit
	Algorithm       Reason = "algorithm"     // not offered, not the client's, or not the key's
	Type            Reason = "type"          // typ is that of another kind of JWT
	Issuer          Reason = "issuer"        // iss is not the client
	Subject         Reason = "subject"       // sub is not the client
	Audience        Reason = "audience"      // it is for another server, or for others too
	Expired         Reason = "expired"       // or without exp
	TooLong         Reason = "too_long"      // it asks for a longer validity than is given
	NotYet          Reason = "not_yet"       // iat or nbf is ahead
	ID              Reason = "jti"           // missing, or too long
	KeyUnknown      Reason = "key_unknown"   // no key of the client has this kid
	KeyAmbiguous    Reason = "key_ambiguous" // no kid, and several keys that fit
	Signature       Reason = "signature"
	Replayed        Reason = "replayed"
	KeysUnavailable Reason = "keys_unavailable" // they cannot be fetched
)

// The limits bound how long a stolen assertion works, and for how long its use is remembered. Stock libraries write an hour
// into exp and cannot be configured, so the five minutes count from iat.
const (
	allowance   = 30 * time.Second // for clocks, at either end
	validity    = 5 * time.Minute
	maxLifetime = time.Hour
	maxID       = 256 // bytes
)

// Rules are what an assertion must say.
type Rules struct {
	ClientID string // iss and sub
	Issuer   string // aud, with a slash behind it or without

	// TokenEndpoint is another aud. Empty: only the issuer.
	TokenEndpoint string
}

// Check makes every check that needs no key (RFC 7523 §3).
func (a *Assertion) Check(r Rules, now time.Time) Reason {
	switch {
	case a.malformed:
		return Malformed
	case !a.typed():
		return Type
	case !slices.Contains(jwks.Algorithms, a.Algorithm):
		return Algorithm
	case a.Issuer == "" || a.Issuer != r.ClientID:
		return Issuer
	case a.Subject == "" || a.Subject != r.ClientID:
		return Subject
	case !r.audience(a.claims.aud):
		return Audience
	}
	if reason := a.checkTime(now); reason != "" {
		return reason
	}
	var ok bool
	if a.ID, ok = text(a.claims.jti); !ok || a.ID == "" || len(a.ID) > maxID {
		return ID
	}
	return ""
}

// typed is whether typ, if there is one, is that of an assertion (RFC 7515 §4.1.9, RFC 8725 §3.11). An access token or a
// proof of possession has another.
func (a *Assertion) typed() bool {
	if a.header.typ == "" {
		return true
	}
	typ, ok := text(a.header.typ)
	if !ok {
		return false
	}
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	return strings.EqualFold(typ, "JWT") || strings.EqualFold(typ, "JOSE") || strings.EqualFold(typ, "client-authentication+jwt")
}

// audience is whether the assertion is for this server alone: one value, or as many different ones as the rules accept.
func (r Rules) audience(value string) bool {
	if one, ok := text(value); ok {
		return r.accepts(one)
	}
	most := 1
	if r.TokenEndpoint != "" {
		most = 2
	}
	var all []string
	if value == "" || value[0] != '[' || json.Unmarshal([]byte(value), &all) != nil || len(all) == 0 || len(all) > most {
		return false
	}
	return !slices.ContainsFunc(all, func(audience string) bool { return !r.accepts(audience) })
}

// accepts compares as RFC 3986 §6.2.1 does, byte by byte. One slash behind the issuer is what libraries add that parse it
// as a URL.
func (r Rules) accepts(audience string) bool {
	return strings.TrimSuffix(audience, "/") == r.Issuer || r.TokenEndpoint != "" && audience == r.TokenEndpoint
}

// checkTime checks exp, iat and nbf (RFC 7523 §3 items 4 to 6), and sets Created and Expires.
func (a *Assertion) checkTime(now time.Time) Reason {
	expires, ok := date(a.claims.exp)
	if !ok {
		return Expired
	}
	ahead := now.Add(allowance)
	for _, value := range [...]string{a.claims.iat, a.claims.nbf} {
		if from, ok := date(value); value != "" && (!ok || from.After(ahead)) {
			return NotYet
		}
	}
	until := expires
	if a.claims.iat == "" {
		if expires.After(ahead.Add(validity)) {
			return TooLong
		}
		a.Created = expires.Add(-validity)
	} else {
		a.Created, _ = date(a.claims.iat)
		switch {
		case expires.Before(a.Created):
			return Expired
		case expires.Sub(a.Created) > maxLifetime:
			return TooLong
		}
		if sooner := a.Created.Add(validity); sooner.Before(until) {
			until = sooner
		}
	}
	if a.Expires = until.Add(allowance); !now.Before(a.Expires) {
		return Expired
	}
	return ""
}

// date is a NumericDate (RFC 7519 §2), which may have a fraction.
func date(value string) (time.Time, bool) {
	if value == "" || value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return time.Time{}, false
	}
	const year9999 = 253402300799 // what is later cannot be told from it
	seconds = math.Min(math.Max(seconds, 0), year9999)
	return time.UnixMilli(int64(seconds * 1000)), true
}
