package bearer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// Claims are what an access token says: the payload of a JWT (RFC 9068 §2.2), or the record of an
// opaque token.
type Claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	Audience Audience `json:"aud"`
	Scope    string   `json:"scope"`
	IssuedAt int64    `json:"iat"` // seconds since 1970
	Expires  int64    `json:"exp"`
	ID       string   `json:"jti"`
}

func (c *Claims) activeAt(t time.Time) bool { return t.Before(time.Unix(c.Expires, 0)) }

// Audience is one string where there is one, as RFC 7519 §4.1.3 allows, else an array.
type Audience []string

// MarshalJSON writes the shorter form where it can.
func (a Audience) MarshalJSON() ([]byte, error) { return json.Marshal(a.Form()) }

// Form is what MarshalJSON writes, for encoding/json to write at once: it checks again what a method has written.
func (a Audience) Form() any {
	if len(a) == 1 {
		return a[0]
	}
	return []string(a)
}

// UnmarshalJSON reads both forms.
func (a *Audience) UnmarshalJSON(b []byte) error {
	if len(b) > 1 && b[0] == '"' {
		if text := b[1 : len(b)-1]; !bytes.ContainsFunc(text, escaped) { // as nearly every one
			*a = Audience{string(text)}
			return nil
		}
		*a = make(Audience, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// escaped is whether a character may stand for another one in a JSON string: in an escape, or as what is not UTF-8.
func escaped(r rune) bool { return r == '\\' || r >= utf8.RuneSelf }

// peek reads the payload of a compact JWS, and checks no signature.
func peek(token string) *Claims {
	_, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.IndexByte(signature, '.') >= 0 {
		return nil
	}
	body, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil
	}
	c := &Claims{}
	if json.Unmarshal(body, c) != nil {
		return nil
	}
	return c
}
