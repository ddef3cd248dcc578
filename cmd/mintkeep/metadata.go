package main

import (
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/oauth"
)

// metadata is what create and update say of a client. The member tag is the name
// on the wire (RFC 7591 §2 and its neighbours).
type metadata struct {
	Name        *string        `name:"name" member:"client_name" placeholder:"NAME" help:"Display name."`
	Scope       *string        `name:"scope" member:"scope" placeholder:"SCOPES" help:"Scopes that it may request, separated by spaces."`
	GrantTypes  []string       `name:"grant-types" member:"grant_types" placeholder:"GRANT" help:"Grants that it may use: ${grant_types}, or none for a client that only introspects."`
	AuthMethod  *string        `name:"auth-method" member:"token_endpoint_auth_method" placeholder:"METHOD" help:"Only method by which it may authenticate: ${auth_methods}. Default: any for which it has a secret or a key."`
	JWKSFile    *string        `name:"jwks-file" member:"jwks" xor:"keys" placeholder:"PATH" help:"Register the public keys in this file, in place of all earlier ones (client update --add-key keeps these): a JWK set, or PEM; - is the standard input."`
	JWKSURI     *string        `name:"jwks-uri" member:"jwks_uri" xor:"keys" placeholder:"URL" help:"Fetch its public keys from here, an https URL of a JWK set."`
	SigningAlg  *string        `name:"signing-alg" member:"token_endpoint_auth_signing_alg" placeholder:"ALG" help:"Only algorithm of its assertions: ${signing_algs}. Default: each that fits its key."`
	TokenTTL    *time.Duration `name:"token-ttl" member:"access_token_ttl" placeholder:"DURATION" help:"Lifetime of its tokens, such as 15m. Default: the server's."`
	TokenFormat *string        `name:"token-format" member:"access_token_format" placeholder:"FORMAT" help:"jwt or opaque."`
	Audience    []string       `name:"audience" member:"audience" sep:"none" placeholder:"URI" help:"Resource that it may request; repeat for more, the first is its default."`
	RateLimit   *string        `name:"rate-limit" member:"rate_limit" placeholder:"RATE" help:"Most calls for tokens: 20/s, 600/m or 5000/h. Default: no limit."`
	ManagedBy   *string        `name:"managed-by" member:"managed_by" placeholder:"OWNER" help:"Owner of the declaration that manages it: mintkeep apply sets it, and --clear=managed-by releases the client."`
}

// Validate checks what the wire could not carry.
func (m metadata) Validate() error {
	if m.TokenTTL != nil && *m.TokenTTL%time.Second != 0 {
		return errors.New("--token-ttl must be whole seconds")
	}
	return nil
}

// members are the values that were given, as they go on the wire.
func (m metadata) members() map[string]any {
	members := map[string]any{}
	for field, value := range reflect.ValueOf(m).Fields() {
		if value.IsNil() {
			continue
		}
		members[field.Tag.Get("member")] = wire(value.Interface())
	}
	return members
}

// request is what goes on the wire: the members, with keys in the place of the name of their file.
func (m metadata) request(p process) (map[string]any, error) {
	members := m.members()
	if m.JWKSFile == nil {
		return members, nil
	}
	keys, err := readKeySet(p, *m.JWKSFile)
	if err != nil {
		return nil, usagef("--jwks-file: %w", err)
	}
	members["jwks"] = keys
	return members, nil
}

// wire turns a flag's value into JSON's: whole seconds, and none as the empty
// list.
func wire(value any) any {
	switch v := value.(type) {
	case *time.Duration:
		return int64(*v / time.Second)
	case []string:
		if len(v) == 1 && v[0] == "none" {
			return []string{}
		}
	}
	return value
}

// memberOf returns the name on the wire of what a flag sets.
func memberOf(flag string) (member string, ok bool) {
	for field := range reflect.TypeFor[metadata]().Fields() {
		if field.Tag.Get("name") == flag {
			return field.Tag.Get("member"), true
		}
	}
	return "", false
}

// offered are the names of lists of the server, for the help.
func offered() kong.Vars {
	o := oauth.Offers(oauth.AuthMethods()...)
	return kong.Vars{
		"auth_methods": clients.Either(o.AuthMethods), "grant_types": strings.Join(o.GrantTypes, ", "),
		"signing_algs": clients.Either(jwks.Algorithms),
	}
}

func metadataFlags() []string {
	var flags []string
	for field := range reflect.TypeFor[metadata]().Fields() {
		flags = append(flags, field.Tag.Get("name"))
	}
	return flags
}
