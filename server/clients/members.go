package clients

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const (
	maxName     = 200  // characters
	maxScope    = 4096 // bytes
	maxScopes   = 100
	maxAudience = 20
	maxURI      = 512 // bytes
)

// Member is one member of a client's metadata (RFC 7591 §2, and Mintkeep's own).
type Member struct {
	Name string // in JSON and in the audit log

	// Field is the name of its field in the form of a client on the dashboard's pages. Empty: it has none there. Keys have
	// a form of their own.
	Field string

	// set parses a value into m, or says what is wrong with it. null, or none, is the default.
	set func(m *store.ClientMetadata, raw json.RawMessage, in rules) error
	// text is the value as the audit log has it. Empty: the default.
	text func(m *store.ClientMetadata) string
}

// Members are what a client's metadata may have, in the order of error messages. A new one is an entry here with its set
// function, and a field of store.ClientMetadata; the test of this table in cmd/mintkeep names each place that lacks it.
var Members = []Member{
	{Name: "client_name", Field: "client_name", set: setName, text: func(m *store.ClientMetadata) string { return m.Name }},
	{Name: "scope", Field: "scope", set: setScope, text: func(m *store.ClientMetadata) string { return m.Scope }},
	{Name: "grant_types", Field: "grant", set: setGrantTypes, text: func(m *store.ClientMetadata) string { return cmp.Or(strings.Join(m.GrantTypes, " "), "none") }},
	{Name: methodMember, Field: "token_endpoint_auth_method", set: setAuthMethod, text: func(m *store.ClientMetadata) string { return m.AuthMethod }},
	{Name: "access_token_ttl", Field: "access_token_ttl", set: setTokenTTL, text: tokenTTL},
	{Name: "access_token_format", Field: "access_token_format", set: setTokenFormat, text: func(m *store.ClientMetadata) string { return m.TokenFormat }},
	{Name: "audience", Field: "audience", set: setAudience, text: func(m *store.ClientMetadata) string { return strings.Join(m.Audience, " ") }},
	{Name: jwksMember, set: setJWKS, text: func(m *store.ClientMetadata) string { return strings.Join(thumbprints(m), " ") }},
	{Name: jwksURIMember, set: setJWKSURI, text: func(m *store.ClientMetadata) string { return m.JWKSURI }},
	{Name: signingAlgMember, set: setSigningAlg, text: func(m *store.ClientMetadata) string { return m.SigningAlg }},
	{Name: "rate_limit", Field: "rate_limit", set: setRateLimit, text: func(m *store.ClientMetadata) string { return m.RateLimit.String() }},
	{Name: "managed_by", set: setManagedBy, text: func(m *store.ClientMetadata) string { return m.ManagedBy }},
}

func setName(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	m.Name = ""
	if web.IsNull(raw) {
		return nil
	}
	name, err := web.Decode[string](raw, "a string")
	if err != nil {
		return err
	}
	if utf8.RuneCountInString(name) > maxName {
		return fmt.Errorf("must have at most %d characters", maxName)
	}
	if !web.Printable(name) {
		return errors.New("must be printable text in UTF-8")
	}
	m.Name = name
	return nil
}

func setScope(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	m.Scope = ""
	if web.IsNull(raw) {
		return nil
	}
	registered, err := web.Decode[string](raw, "a string of space-separated scopes")
	if err != nil || registered == "" {
		return err
	}
	switch {
	case len(registered) > maxScope:
		return fmt.Errorf("must have at most %d bytes", maxScope)
	case !scope.Valid(registered):
		return errors.New("must be space-separated scope tokens (RFC 6749 section 3.3)")
	}
	var scopes []string
	for s := range strings.SplitSeq(registered, " ") {
		// Another one with the prefix is an error: it looks like a right and gives none.
		if scope.IsOwn(s) && !slices.Contains(scope.Own, s) {
			return fmt.Errorf("contains an unknown mintkeep: scope; valid are %s", strings.Join(scope.Own, ", "))
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	if len(scopes) > maxScopes {
		return fmt.Errorf("must have at most %d scopes", maxScopes)
	}
	m.Scope = strings.Join(scopes, " ")
	return nil
}

func setGrantTypes(m *store.ClientMetadata, raw json.RawMessage, in rules) error {
	if web.IsNull(raw) {
		m.GrantTypes = in.offers.GrantTypes[:1:1]
		return nil
	}
	grants, err := web.Decode[[]string](raw, "an array of strings")
	if err != nil {
		return err
	}
	if len(lost(grants, in.offers.GrantTypes)) > 0 {
		return fmt.Errorf("%s; [] registers a client that may only introspect and revoke", in.offers.grants())
	}
	m.GrantTypes = nil // for none, as the store has it
	for _, grant := range grants {
		if !slices.Contains(m.GrantTypes, grant) {
			m.GrantTypes = append(m.GrantTypes, grant)
		}
	}
	return nil
}

func setAuthMethod(m *store.ClientMetadata, raw json.RawMessage, in rules) error {
	if web.IsNull(raw) {
		m.AuthMethod = ""
		return nil
	}
	method, err := web.Decode[string](raw, "a string")
	switch {
	case err != nil:
		return err
	case slices.Contains(in.offers.AuthMethods, method):
		m.AuthMethod = method
		return nil
	case method == "none":
		return errors.New("none is not supported: every client must authenticate")
	}
	return fmt.Errorf("must be %s; if it is omitted, %s are allowed", Either(in.offers.AuthMethods), in.offers.Unpinned())
}

func setTokenTTL(m *store.ClientMetadata, raw json.RawMessage, in rules) error {
	m.TokenTTL = 0
	if web.IsNull(raw) {
		return nil
	}
	// JSON has one kind of number: 600.0 is whole too.
	seconds, err := web.Decode[float64](raw, "a number of seconds")
	if err != nil {
		return err
	}
	if seconds < 1 || seconds != math.Trunc(seconds) {
		return errors.New("must be a whole number of seconds, at least 1")
	}
	if seconds > in.maxTTL.Seconds() {
		return fmt.Errorf("must be at most %d (MINTKEEP_TOKEN_TTL_MAX)", int64(in.maxTTL/time.Second))
	}
	m.TokenTTL = time.Duration(seconds) * time.Second
	return nil
}

// tokenTTL is the lifetime in seconds, as the API has it.
func tokenTTL(m *store.ClientMetadata) string {
	if m.TokenTTL == 0 {
		return ""
	}
	return strconv.FormatInt(int64(m.TokenTTL/time.Second), 10)
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

func setAudience(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	m.Audience = nil
	if web.IsNull(raw) {
		return nil
	}
	audience, err := web.Decode[[]string](raw, "an array of strings")
	if err != nil || len(audience) == 0 {
		return err
	}
	if len(audience) > maxAudience {
		return fmt.Errorf("must have at most %d URIs", maxAudience)
	}
	for i, uri := range audience {
		if err := checkResource(uri); err != nil {
			return err
		}
		if slices.Contains(audience[:i], uri) {
			return errors.New("must not contain a URI twice")
		}
	}
	m.Audience = audience
	return nil
}

func setRateLimit(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	m.RateLimit = store.Rate{}
	if web.IsNull(raw) {
		return nil
	}
	text, err := web.Decode[string](raw, "a string, such as 600/m")
	if err != nil {
		return err
	}
	m.RateLimit, err = store.ParseRate(text)
	return err
}

func setManagedBy(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	m.ManagedBy = ""
	if web.IsNull(raw) {
		return nil
	}
	owner, err := web.Decode[string](raw, "a string")
	if err == nil {
		err = web.CheckOwner(owner)
	}
	if err == nil {
		m.ManagedBy = owner
	}
	return err
}

// checkResource rejects what no resource parameter may be (RFC 8707 §2).
func checkResource(uri string) error {
	if len(uri) > maxURI {
		return fmt.Errorf("a URI must have at most %d bytes", maxURI)
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil, strings.ContainsFunc(uri, notInURI), u.Scheme == "", u.Host == "" && u.Opaque == "":
		return errors.New("must be absolute URIs")
	case strings.Contains(uri, "#"):
		return errors.New("a URI must have no fragment")
	}
	return nil
}

// notInURI is whether RFC 3986 §2 has the character escaped.
func notInURI(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) }
