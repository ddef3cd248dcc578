package faults

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// clientKey is the public key of the write's client, by its id.
func (w *lateWrite) clientKey() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(w.client))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (w *lateWrite) clientKeyName() string { return "public key of " + w.client }

// withClientKey is a patch that registers the key, and withoutClientKeys one that removes it.
func (w *lateWrite) withClientKey() string {
	set, err := json.Marshal(map[string]any{"jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: w.clientKey().Public(), KeyID: "late"}}}})
	if err != nil {
		w.scene.t.Error(err)
	}
	return string(set)
}

const withoutClientKeys = `{"jwks":null}`

func (w *lateWrite) addClientKey() {
	w.right(w.clientKeyName(), w.clientKeySubject())
	w.lateAdmin(history.Enable, "", http.MethodPatch, w.clientPath(), w.withClientKey())
}

func (w *lateWrite) removeClientKey() {
	w.revokeAdmin(w.clientKeyName(), http.MethodPatch, w.clientPath(), withoutClientKeys)
}

// clientKeySubject is whether there is a token for an assertion that the key has signed.
func (w *lateWrite) clientKeySubject() subject {
	return subject{
		ask: func(by processtest.Caller) processtest.Answer {
			return by.Form("/oauth/token", "", url.Values{
				"grant_type":            {"client_credentials"},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
				"client_assertion":      {w.assertion()},
			})
		},
		is: byStatus(http.StatusOK, http.StatusUnauthorized), expected: []int{http.StatusOK, http.StatusUnauthorized},
	}
}

func (w *lateWrite) assertion() string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: w.clientKey(), KeyID: "late"}}, nil)
	if err != nil {
		w.scene.t.Error(err)
		return ""
	}
	now := time.Now()
	compact, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": w.client, "sub": w.client, "aud": processtest.Issuer,
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": rand.Text(),
	}).Serialize() //nolint:misspell // go-jose's spelling
	if err != nil {
		w.scene.t.Error(err)
	}
	return compact
}
