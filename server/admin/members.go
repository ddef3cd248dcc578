package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/store"
)

const (
	maxName     = 200  // characters
	maxScope    = 4096 // bytes
	maxScopes   = 100
	maxAudience = 20
	maxURI      = 512 // bytes
)

func setName(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	m.Name = ""
	if isNull(raw) {
		return nil
	}
	name, err := decode[string](raw, "a string")
	if err != nil {
		return err
	}
	if utf8.RuneCountInString(name) > maxName {
		return fmt.Errorf("must have at most %d characters", maxName)
	}
	if strings.ContainsFunc(name, unprintable) {
		return errors.New("must be printable text in UTF-8")
	}
	m.Name = name
	return nil
}

// unprintable are the characters that would break a line, or turn around what stands beside the name.
// U+FFFD is what package json makes of bytes that are not UTF-8.
func unprintable(r rune) bool {
	return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

func setScope(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	m.Scope = ""
	if isNull(raw) {
		return nil
	}
	scope, err := decode[string](raw, "a string, with a space between two scopes")
	if err != nil || scope == "" {
		return err
	}
	if len(scope) > maxScope {
		return fmt.Errorf("must have at most %d bytes", maxScope)
	}
	var scopes []string
	for s := range strings.SplitSeq(scope, " ") {
		if s == "" || strings.ContainsFunc(s, notInScope) {
			return errors.New("must be scopes as RFC 6749 section 3.3 has them, with one space between two")
		}
		if strings.HasPrefix(s, "mintkeep:") && !slices.Contains(ownScopes, s) {
			return fmt.Errorf("may have of Mintkeep's own scopes only %s", strings.Join(ownScopes, ", "))
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

// ownScopes are those that open Mintkeep's own doors. Another with their prefix is a slip of the pen: it
// would look like a right and be none.
var ownScopes = []string{"mintkeep:admin", "mintkeep:introspect", "mintkeep:keys"}

// notInScope: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749 §3.3).
func notInScope(r rune) bool { return r < 0x21 || r > 0x7e || r == '"' || r == '\\' }

func setTokenTTL(m *store.ClientMetadata, raw json.RawMessage, in rules) error {
	m.TokenTTL = 0
	if isNull(raw) {
		return nil
	}
	// JSON has one kind of number: 600.0 is whole too.
	seconds, err := decode[float64](raw, "a number of seconds")
	if err != nil {
		return err
	}
	if seconds < 1 || seconds != math.Trunc(seconds) {
		return errors.New("must be whole seconds, at least 1")
	}
	if seconds > in.maxTTL.Seconds() {
		return fmt.Errorf("must be at most %d, which is MINTKEEP_TOKEN_TTL_MAX", int64(in.maxTTL/time.Second))
	}
	m.TokenTTL = time.Duration(seconds) * time.Second
	return nil
}

func setAudience(m *store.ClientMetadata, raw json.RawMessage, _ rules) error {
	m.Audience = nil
	if isNull(raw) {
		return nil
	}
	audience, err := decode[[]string](raw, "an array of strings")
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
			return errors.New("must not name a URI twice")
		}
	}
	m.Audience = audience
	return nil
}

// checkResource wants what a resource parameter may be (RFC 8707 §2).
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

// notInURI are the characters that RFC 3986 §2 has escaped.
func notInURI(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) }
