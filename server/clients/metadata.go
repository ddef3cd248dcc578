package clients

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const clientCredentials = "client_credentials"

// rules are what this server's settings say of metadata.
type rules struct {
	maxTTL time.Duration
	// audience is that of a client which is registered with none.
	audience string
}

func (g *Registry) rules() rules {
	return rules{maxTTL: g.Config.TokenTTLMax, audience: g.Config.Audience}
}

// members are what a client's metadata may have (RFC 7591 §2, and Mintkeep's own), in the order of
// complaints. set reads a value into m, or says what is wrong with it; null, or none, is the default.
var members = []struct {
	name string
	set  func(m *store.ClientMetadata, raw json.RawMessage, in rules) error
}{
	{"client_name", setName},
	{"scope", setScope},
	{"grant_types", setGrantTypes},
	{"token_endpoint_auth_method", setAuthMethod},
	{"access_token_ttl", setTokenTTL},
	{"access_token_format", setTokenFormat},
	{"audience", setAudience},
	{"jwks", unsupported},
	{"rate_limit", setRateLimit},
}

// register reads the whole of a client's metadata.
func (in rules) register(o web.Object) (m store.ClientMetadata, err error) {
	for _, member := range members {
		if err := member.set(&m, o[member.name], in); err != nil {
			return m, wrongMember(member.name, err)
		}
	}
	return m, nil
}

// patch sets the members that are there, and says which of them changed anything.
func (in rules) patch(m *store.ClientMetadata, o web.Object) (changed []string, err error) {
	for _, member := range members {
		raw, there := o[member.name]
		if !there {
			continue
		}
		before := *m
		if err := member.set(m, raw, in); err != nil {
			return nil, wrongMember(member.name, err)
		}
		if !reflect.DeepEqual(before, *m) {
			changed = append(changed, member.name)
		}
	}
	return changed, nil
}

// narrower says whether a client loses something that its tokens may hold: a scope, an audience (the
// server's own, where it is registered with none) or the grant.
func (in rules) narrower(before, after store.ClientMetadata) bool {
	return lost(strings.Fields(before.Scope), strings.Fields(after.Scope)) ||
		lost(in.audienceOf(before), in.audienceOf(after)) ||
		lost(before.GrantTypes, after.GrantTypes)
}

func (in rules) audienceOf(m store.ClientMetadata) []string {
	if len(m.Audience) == 0 {
		return []string{in.audience}
	}
	return m.Audience
}

func lost(before, after []string) bool {
	return slices.ContainsFunc(before, func(s string) bool { return !slices.Contains(after, s) })
}

func setGrantTypes(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	if web.IsNull(raw) {
		m.GrantTypes = []string{clientCredentials}
		return nil
	}
	grants, err := web.Decode[[]string](raw, "an array of strings")
	if err != nil {
		return err
	}
	if lost(grants, []string{clientCredentials}) {
		return errors.New("client_credentials is the only grant; a client with none, [], may only introspect and revoke")
	}
	m.GrantTypes = nil // for none, as the store has it
	if len(grants) > 0 {
		m.GrantTypes = []string{clientCredentials}
	}
	return nil
}

func setAuthMethod(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	if web.IsNull(raw) {
		m.AuthMethod = ""
		return nil
	}
	method, err := web.Decode[string](raw, "a string")
	if err != nil {
		return err
	}
	switch method {
	case "client_secret_basic", "client_secret_post":
		m.AuthMethod = method
		return nil
	case "private_key_jwt":
		return errors.New("private_key_jwt is not supported")
	case "none":
		return errors.New("none is not supported: every client authenticates")
	}
	return errors.New("must be client_secret_basic or client_secret_post; omitted, both are allowed")
}

func setTokenFormat(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	if web.IsNull(raw) {
		m.TokenFormat = store.JWT
		return nil
	}
	format, err := web.Decode[string](raw, "a string")
	if err != nil {
		return err
	}
	if format != store.JWT && format != store.Opaque {
		return errors.New("must be jwt or opaque")
	}
	m.TokenFormat = format
	return nil
}

func unsupported(_ *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	if web.IsNull(raw) {
		return nil
	}
	return errors.New("is not supported")
}

// wrongMember is the 400 of RFC 7591 §3.2.2. The description names the member, and quotes nothing of
// its value: that might be a secret, or not be fit to print.
func wrongMember(name string, why error) error {
	e := web.InvalidRequest("%s: %v", name, why)
	e.Code = "invalid_client_metadata"
	return e
}
