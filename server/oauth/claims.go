package oauth

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/store"
)

// claims are what an access token says: the payload of a JWT (RFC 9068 §2.2), or the record of an
// opaque token.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	Audience audience `json:"aud"`
	Scope    string   `json:"scope"`
	IssuedAt int64    `json:"iat"` // seconds since 1970
	Expires  int64    `json:"exp"`
	ID       string   `json:"jti"`
}

func (c *claims) liveAt(t time.Time) bool { return t.Before(time.Unix(c.Expires, 0)) }

// audience is one string where there is one, as RFC 7519 §4.1.3 allows, else an array.
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (a *audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = make(audience, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// maxToken is the longest token that is looked at, in bytes; what is issued is far shorter.
const maxToken = 8 << 10

// shown is a token as somebody presents it, before the store was asked. claims is nil for an opaque
// one. Nothing of it is believed: only a record under its digest makes it ours, and then every byte of it
// is as it was issued. That is why no signature is checked here.
type shown struct {
	digest store.Digest
	claims *claims
}

// look tells apart, without the store, what cannot be a live token of this server.
func (s *Server) look(token string) (t shown, plausible bool) {
	switch {
	case len(token) > maxToken:
		return t, false
	case credential.WellFormed(token):
	default:
		if t.claims = peek(token); t.claims == nil {
			return t, false
		}
		if t.claims.Issuer != s.config.Issuer || !t.claims.liveAt(s.now()) {
			return t, false
		}
	}
	t.digest = store.DigestOf(token)
	return t, true
}

// peek reads the payload of a compact JWS.
func peek(token string) *claims {
	_, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.IndexByte(signature, '.') >= 0 {
		return nil
	}
	body, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil
	}
	c := &claims{}
	if json.Unmarshal(body, c) != nil {
		return nil
	}
	return c
}

// issued is what a token with this record says, or nil if it has expired or the record is not one of an
// access token.
func (s *Server) issued(t shown, record *store.TokenRecord) *claims {
	c := t.claims
	if c == nil {
		c = &claims{}
		if json.Unmarshal(record.Claims, c) != nil {
			return nil
		}
		c.Issuer = s.config.Issuer
	}
	if !c.liveAt(s.now()) {
		return nil
	}
	return c
}
