package store

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// ClientMetadata is what an operator registers a client with (RFC 7591 §2).
type ClientMetadata struct {
	Name        string        `json:"name,omitempty"`
	Scope       string        `json:"scope,omitempty"` // space-separated, in the order of registration
	GrantTypes  []string      `json:"grants,omitempty"`
	AuthMethod  string        `json:"auth,omitempty"` // empty: each for which the client has a secret or a key
	TokenTTL    time.Duration `json:"ttl,omitempty"`  // zero: the server's default
	TokenFormat string        `json:"format,omitempty"`
	Audience    []string      `json:"aud,omitempty"`
	RateLimit   Rate          `json:"rate,omitzero"`        // of its calls for tokens
	ManagedBy   string        `json:"managed_by,omitempty"` // the owner of the declaration that it is in; empty: none
	CreatedAt   time.Time     `json:"created"`

	JWKS          json.RawMessage `json:"jwks,omitempty"`      // the registered set, canonical; empty: none
	JWKSURI       string          `json:"jwks_uri,omitempty"`  // where the set is fetched from; not together with JWKS
	SigningAlg    string          `json:"alg,omitempty"`       // token_endpoint_auth_signing_alg; empty: each that fits the key
	KeysRefreshed int64           `json:"refreshed,omitempty"` // milliseconds of the last refresh-keys: a set that was fetched under a smaller value is fetched again

	// Unknown has the members that a newer version wrote. They are written again, so that a replica of this version does
	// not take away what was registered at another. Nil: none.
	Unknown map[string]json.RawMessage `json:"-"`
}

// The formats of access tokens.
const (
	JWT    = "jwt"
	Opaque = "opaque"
)

// HasKeys is whether the client is registered with public keys: its own, or those at a URL.
func (m *ClientMetadata) HasKeys() bool { return len(m.JWKS) > 0 || m.JWKSURI != "" }

// PrivateKeyJWT is the client authentication method by a key (RFC 7523 §2.2, OpenID Connect Core §9).
const PrivateKeyJWT = "private_key_jwt"

const secretMethods = "client_secret_" // the methods that use a secret begin so

// Locked is whether a client is enabled and has neither a secret nor a key by which it could authenticate at that time.
func (c *Client) Locked(at time.Time) bool {
	method := c.Metadata.AuthMethod
	bySecret := method == "" || strings.HasPrefix(method, secretMethods)
	byKey := method == "" || method == PrivateKeyJWT
	if !c.Enabled || !bySecret && !byKey {
		return false
	}
	hasSecret := slices.ContainsFunc(c.Secrets, func(s Secret) bool { return s.ActiveAt(at) })
	return (!bySecret || !hasSecret) && (!byKey || !c.Metadata.HasKeys())
}

// metadataMembers are the names of the members that this version knows.
var metadataMembers = func() map[string]bool {
	known := map[string]bool{}
	for field := range reflect.TypeFor[ClientMetadata]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[name] = true
	}
	return known
}()

// knownMetadata is ClientMetadata without its methods.
type knownMetadata ClientMetadata

// UnmarshalJSON keeps the members that it does not know.
func (m *ClientMetadata) UnmarshalJSON(body []byte) error {
	if err := json.Unmarshal(body, (*knownMetadata)(m)); err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return err
	}
	for name, value := range members {
		if metadataMembers[name] {
			continue
		}
		if m.Unknown == nil {
			m.Unknown = map[string]json.RawMessage{}
		}
		m.Unknown[name] = value
	}
	return nil
}

// MarshalJSON writes them again.
func (m ClientMetadata) MarshalJSON() ([]byte, error) {
	body, err := json.Marshal(knownMetadata(m))
	if err != nil || len(m.Unknown) == 0 {
		return body, err
	}
	unknown, err := json.Marshal(m.Unknown)
	if err != nil {
		return nil, err
	}
	return slices.Concat(body[:len(body)-1], []byte(","), unknown[1:]), nil // body always has "created"
}
