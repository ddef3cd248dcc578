package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
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
	registered, err := web.Decode[string](raw, "a string, with a space between two scopes")
	if err != nil || registered == "" {
		return err
	}
	switch {
	case len(registered) > maxScope:
		return fmt.Errorf("must have at most %d bytes", maxScope)
	case !scope.Valid(registered):
		return errors.New("must be scopes as RFC 6749 section 3.3 has them, with one space between two")
	}
	var scopes []string
	for s := range strings.SplitSeq(registered, " ") {
		// Another one with the prefix is a slip of the pen: it would look like a right and be none.
		if scope.IsOwn(s) && !slices.Contains(scope.Own, s) {
			return fmt.Errorf("may have of Mintkeep's own scopes only %s", strings.Join(scope.Own, ", "))
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
			return errors.New("must not name a URI twice")
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
