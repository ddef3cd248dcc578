package keys

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const (
	maxName   = 100  // characters
	maxReason = 200  // characters
	maxScope  = 4096 // bytes
	// farthest is the latest expiry. A key that should be valid longer is created without one.
	farthest = 100 * 365 * 24 * time.Hour
)

// NewKey is what a caller asks for when creating a key.
type NewKey struct {
	Name      string    // 1 to 100 printable characters
	Scope     string    // at most 4,096 bytes; empty: all that developers may give, but none of Mintkeep's own
	ExpiresAt time.Time // zero: never, or when the key that creates it does
}

// misnamed are members that callers confuse with those that exist. Ignored, as unknown members are, they would
// make a wider key than was meant.
var misnamed = map[string]string{
	"scopes":     "scope is a string of space-separated scopes",
	"expires_in": "use expires_at, a time",
	"expires":    "use expires_at, a time",
	"expiry":     "use expires_at, a time",
}

// ReadNewKey reads name, scope and expires_at. What is wrong is a 400 that names the member.
func ReadNewKey(o web.Object, now time.Time) (n NewKey, err error) {
	for name, meant := range misnamed {
		if o.Has(name) {
			return n, web.InvalidRequest("%s: is unknown; %s", name, meant)
		}
	}
	if n.Name, err = readName(o); err != nil {
		return n, wrong("name", err)
	}
	if o.Has("scope") {
		if n.Scope, err = web.Decode[string](o["scope"], "a string of space-separated scopes"); err != nil {
			return n, wrong("scope", err)
		}
	}
	if len(n.Scope) > maxScope || n.Scope != "" && !scope.Valid(n.Scope) {
		return n, wrongScope("must be space-separated scope tokens (RFC 6749 section 3.3)")
	}
	if n.ExpiresAt, err = readExpiry(o, now); err != nil {
		return n, wrong("expires_at", err)
	}
	return n, nil
}

func readName(o web.Object) (string, error) {
	if !o.Has("name") {
		return "", errors.New("is missing")
	}
	name, err := web.Decode[string](o["name"], "a string")
	if err != nil {
		return "", err
	}
	return CheckName(name)
}

// CheckName trims the name of a key, 1 to 100 printable characters, and says what is wrong with it.
func CheckName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", errors.New("must not be empty")
	case utf8.RuneCountInString(name) > maxName:
		return "", errors.New("must have at most 100 characters")
	case !web.Printable(name):
		return "", errors.New("must be printable text in UTF-8")
	}
	return name, nil
}

func readExpiry(o web.Object, now time.Time) (time.Time, error) {
	if !o.Has("expires_at") {
		return time.Time{}, nil
	}
	text, err := web.Decode[string](o["expires_at"], "a string such as 2027-01-31T12:00:00Z, or null for no expiry")
	if err != nil || text == "" {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errors.New("must be a time such as 2027-01-31T12:00:00Z, or null for no expiry")
	}
	switch at = web.Time(at); {
	case !at.After(now):
		return time.Time{}, errors.New("must be in the future")
	case at.After(now.Add(farthest)):
		return time.Time{}, errors.New("must be within 100 years, or null for no expiry")
	}
	return at, nil
}

// ReadReason reads why a key is revoked; otherwise is what stands for no reason.
func ReadReason(query web.Query, otherwise string) (string, error) {
	reason, err := query.Text("reason")
	if err != nil {
		return "", err
	}
	if reason, err = CheckReason(reason, otherwise); err != nil {
		return "", wrong("reason", err)
	}
	return reason, nil
}

// CheckReason trims why a key is revoked, at most 200 printable characters, and says what is wrong with it.
func CheckReason(reason, otherwise string) (string, error) {
	switch reason = strings.TrimSpace(reason); {
	case reason == "":
		return otherwise, nil
	case utf8.RuneCountInString(reason) > maxReason || !web.Printable(reason):
		return "", errors.New("must be printable text of at most 200 characters")
	}
	return reason, nil
}

// grant cuts the request to what the actor may give and the owner have, or says what is too much.
func (g *Registry) grant(owner *store.User, n NewKey, by audit.Actor) (*store.APIKey, error) {
	granted := &store.APIKey{Name: n.Name, Scope: dedupe(n.Scope), ExpiresAt: n.ExpiresAt}
	if latest := by.Key.Expires(); !latest.IsZero() {
		if granted.ExpiresAt.After(latest) {
			return nil, wrong("expires_at", errors.New("must not be later than the expiry of the calling key"))
		}
		if granted.ExpiresAt.IsZero() {
			granted.ExpiresAt = latest
		}
	}
	if n.Scope == "" {
		granted.Scope = g.defaultScope(by)
		return granted, nil
	}
	if by.Key != nil {
		if err := checkAgainstKey(granted.Scope, by); err != nil {
			return nil, err
		}
	}
	if beyond := scope.Beyond(granted.Scope, g.Allowed(owner)); len(beyond) > 0 {
		return nil, wrongScope("contains a scope that this user may not give to a key; allowed are " + g.Allowed(owner) + " (MINTKEEP_KEY_SCOPES)")
	}
	return granted, nil
}

// Allowed are the scopes that a user may give to their keys.
func (g *Registry) Allowed(owner *store.User) string {
	allowed := strings.Join(append(g.Config.KeyScopes.Names(), scope.Keys), " ")
	if owner.Role() == store.Operator {
		allowed += " " + scope.Admin
	}
	return allowed
}

// checkAgainstKey rejects what the key that creates another has not, and Mintkeep's own scopes altogether.
func checkAgainstKey(wanted string, by audit.Actor) error {
	if scope.HasOwn(wanted) {
		return wrongScope("must not contain " + strings.Join(scope.Own, ", ") + ": a key cannot grant these to another key")
	}
	if len(scope.Beyond(wanted, by.Scope)) > 0 {
		return wrongScope("must not contain scopes that the calling key lacks")
	}
	return nil
}

func (g *Registry) defaultScope(by audit.Actor) string {
	var granted []string
	for _, token := range g.Config.KeyScopes.Names() {
		if by.Key == nil || scope.Has(by.Scope, token) {
			granted = append(granted, token)
		}
	}
	return strings.Join(granted, " ")
}

func dedupe(s string) string {
	var kept []string
	for token := range strings.FieldsSeq(s) {
		if !scope.Has(strings.Join(kept, " "), token) {
			kept = append(kept, token)
		}
	}
	return strings.Join(kept, " ")
}

func wrong(member string, why error) error { return web.InvalidRequest("%s: %v", member, why) }

func wrongScope(why string) error {
	e := web.InvalidRequest("scope: %s", why)
	e.Code = "invalid_scope"
	return e
}
