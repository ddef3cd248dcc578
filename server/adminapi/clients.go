package adminapi

import (
	"encoding/json"
	"time"
)

// Client is a client as operators see it.
type Client struct {
	ID          string    `json:"client_id"`
	Name        string    `json:"client_name"`
	Scope       string    `json:"scope"`
	GrantTypes  []string  `json:"grant_types"`
	AuthMethod  string    `json:"token_endpoint_auth_method,omitempty"`
	TokenTTL    int64     `json:"access_token_ttl,omitempty"` // seconds
	TokenFormat string    `json:"access_token_format"`
	Audience    []string  `json:"audience"`
	RateLimit   string    `json:"rate_limit,omitempty"`
	ManagedBy   string    `json:"managed_by,omitempty"` // the owner of the declaration that it is in
	Disabled    bool      `json:"disabled"`
	IssuedAt    int64     `json:"client_id_issued_at"`
	CreatedAt   time.Time `json:"created_at"`
	Secrets     []Secret  `json:"secrets"`

	JWKS       json.RawMessage `json:"jwks,omitempty"`
	JWKSURI    string          `json:"jwks_uri,omitempty"`
	SigningAlg string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	Keys       []ClientKey     `json:"keys"`

	ETag string `json:"etag"` // for If-Match
}

// ClientKey is what is known of a public key of a client. Of a key set at a URL these are the keys that were used.
type ClientKey struct {
	ID         *string    `json:"kid"`        // null: the key is at a URL
	Thumbprint string     `json:"thumbprint"` // RFC 7638
	Algorithm  *string    `json:"alg"`        // null: there are several by which it may sign, or it is at a URL
	LastUsedAt *time.Time `json:"last_used_at"`
}

// RegisteredClient is the one answer that has the client's secret in it (RFC 7591 §3.2.1). A client that is registered
// without a secret is answered as a Client.
type RegisteredClient struct {
	Client
	Secret          string `json:"client_secret,omitempty"`  // empty: the operator brought it
	SecretExpiresAt int64  `json:"client_secret_expires_at"` // 0: never
}

// Secret is what may be known of a client secret.
type Secret struct {
	ID         string     `json:"id"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastFour   *string    `json:"last_four"`        // null: imported
	SHA256     string     `json:"sha256,omitempty"` // empty: imported, and not by its digest
	InUse      bool       `json:"in_use"`           // false: the client's authentication method uses no secret
}

// RotatedSecret is the one answer that has a second secret in it.
type RotatedSecret struct {
	ID        string     `json:"id"`
	Secret    string     `json:"client_secret,omitempty"` // empty: the operator brought it
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	LastFour  *string    `json:"last_four"`
	Previous  *Previous  `json:"previous,omitempty"`
}

// Previous is a secret or a key that was rotated, and its new expiry.
type Previous struct {
	ID        string    `json:"id"`
	ExpiresAt time.Time `json:"expires_at"`
}
