package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// assertionLifetime is short: an assertion is used at once, and valid once.
const assertionLifetime = 60 * time.Second

// assertion is a JWT by which a client authenticates (RFC 7523 §3). Its audience is the issuer alone, as a string, so that
// no other server accepts it.
func (k *clientKey) assertion(client, issuer string, now time.Time) (string, error) {
	options := (&jose.SignerOptions{}).WithType("client-authentication+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(k.algorithm), Key: jose.JSONWebKey{Key: k.private, KeyID: k.id},
	}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		Audience  string `json:"aud"`
		IssuedAt  int64  `json:"iat"`
		NotBefore int64  `json:"nbf"`
		Expires   int64  `json:"exp"`
		ID        string `json:"jti"`
	}{client, client, issuer, now.Unix(), now.Unix(), now.Add(assertionLifetime).Unix(), rand.Text()}).Serialize() //nolint:misspell // go-jose's spelling
}

// issuerOf asks a server for its issuer (RFC 8414 §3). It may differ from where the server is reached.
func issuerOf(ctx context.Context, client *http.Client, base string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/.well-known/oauth-authorization-server", http.NoBody)
	if err != nil {
		return "", err
	}
	request.Header.Set("User-Agent", "mintkeep/"+buildVersion())
	body, err := send(client, base, request)
	if err != nil {
		return "", err
	}
	metadata, err := parsed[struct {
		Issuer string `json:"issuer"`
	}](body)
	if err != nil || !strings.HasPrefix(metadata.Issuer, "https://") && !strings.HasPrefix(metadata.Issuer, "http://") {
		return "", errors.New("the metadata has no issuer: is MINTKEEP_URL the address of Mintkeep?")
	}
	return metadata.Issuer, nil
}
