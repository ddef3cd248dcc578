package config

import (
	"errors"
	"slices"
	"strings"
)

// tokenEndpoint is the word for the URL of the token endpoint in MINTKEEP_ASSERTION_AUDIENCE.
const tokenEndpoint = "token_endpoint"

// TokenEndpointAudience is whether a client's assertion may name the URL of the token endpoint as aud.
func (c *Config) TokenEndpointAudience() bool {
	return slices.Contains(c.AssertionAudience, tokenEndpoint)
}

func parseAssertionAudience(s string) ([]string, error) {
	var audience []string
	for word := range strings.SplitSeq(s, ",") {
		audience = append(audience, strings.TrimSpace(word))
	}
	slices.Sort(audience)
	if !slices.Equal(audience, []string{"issuer"}) && !slices.Equal(audience, []string{"issuer", tokenEndpoint}) {
		return nil, errors.New("must be issuer or issuer,token_endpoint")
	}
	return audience, nil
}

// warnOfAudience warns of the second audience: the URL of an endpoint is no name of a server. Another server may publish
// this server's endpoint as its own, and so receive assertions that are valid here (the attack of draft-ietf-oauth-rfc7523bis).
func (l *loader) warnOfAudience(c *Config) {
	if c.TokenEndpointAudience() {
		l.warnings = append(l.warnings, "MINTKEEP_ASSERTION_AUDIENCE accepts assertions for the URL of the token endpoint, which another server may use to obtain assertions that are valid here; remove token_endpoint once every client sends the issuer as aud")
	}
}
