package signing

import (
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/store"
)

// publicJWK is what the ring keeps of the public key.
func publicJWK(id string, public crypto.PublicKey) (json.RawMessage, error) {
	return json.Marshal(jose.JSONWebKey{Key: public, KeyID: id, Algorithm: algorithmOf(public), Use: "sig"})
}

// published reads a public key back, and trusts nothing of it but the key itself: no private member
// and no foreign "kid" or "alg" of the record gets into the JWKS.
func published(key store.SigningKey) (jose.JSONWebKey, error) {
	var stored jose.JSONWebKey
	if err := json.Unmarshal(key.Public, &stored); err != nil {
		return stored, fmt.Errorf("signing key %s: %w", key.ID, err)
	}
	if !stored.Valid() || !stored.IsPublic() {
		return stored, fmt.Errorf("signing key %s: not a public key", key.ID)
	}
	if id, err := jwks.Thumbprint(stored.Key); err != nil || id != key.ID || algorithmOf(stored.Key) != key.Algorithm {
		return stored, fmt.Errorf("signing key %s: the public key is another one", key.ID)
	}
	return jose.JSONWebKey{Key: stored.Key, KeyID: key.ID, Algorithm: key.Algorithm, Use: "sig"}, nil
}

// keySet makes the JWK set (RFC 7517 §5). Body and ETag depend on the ring alone, so they are the same
// on every replica.
func keySet(keys []store.SigningKey) (body []byte, etag string, err error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range keys {
		jwk, err := published(key)
		if err != nil {
			return nil, "", err
		}
		set.Keys = append(set.Keys, jwk)
	}
	if body, err = json.Marshal(set); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(body)
	return body, `"` + b64.EncodeToString(sum[:16]) + `"`, nil
}
