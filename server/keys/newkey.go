package keys

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// farthest is the latest expiry. A key that should be valid longer is created without one.
const farthest = 100 * 365 * 24 * time.Hour

// NewKey is what a caller asks for when creating a key.
type NewKey struct {
	Name        string            // 1 to 100 printable characters
	Description string            // at most 500 printable characters
	Scope       string            // at most 4,096 bytes; empty: all that developers may give, but none of Mintkeep's own
	ExpiresAt   time.Time         // zero: never, or when the key that creates it does
	Metadata    map[string]string // at most 20 pairs
	RateLimit   store.Rate        // zero: none
	Disabled    bool              // until it is enabled
}

// ReadNewKey reads the members of a new key. What is wrong is a 400 that names the member.
func ReadNewKey(o web.Object, now time.Time) (n NewKey, err error) {
	if err := checkMisnamed(o); err != nil {
		return n, err
	}
	if n.Name, err = readName(o["name"]); err != nil {
		return n, wrong("name", err)
	}
	if n.Description, err = readDescription(o["description"]); err != nil {
		return n, wrong("description", err)
	}
	if n.Scope, err = readScope(o["scope"]); err != nil {
		return n, err
	}
	if n.ExpiresAt, err = readExpiry(o["expires_at"], now); err != nil {
		return n, wrong("expires_at", err)
	}
	if n.Metadata, err = mergeMetadata(nil, o["metadata"]); err != nil {
		return n, wrong("metadata", err)
	}
	if n.RateLimit, err = readRateLimit(o["rate_limit"]); err != nil {
		return n, wrong("rate_limit", err)
	}
	if n.Disabled, err = readDisabled(o["disabled"]); err != nil {
		return n, wrong("disabled", err)
	}
	return n, nil
}

// readScope reads scopes; empty: none, or null. The error is the answer.
func readScope(raw json.RawMessage) (string, error) {
	if web.IsNull(raw) {
		return "", nil
	}
	wanted, err := web.Decode[string](raw, "a string of space-separated scopes")
	if err != nil {
		return "", wrong("scope", err)
	}
	if len(wanted) > maxScope || wanted != "" && !scope.Valid(wanted) {
		return "", wrongScope("must be space-separated scope tokens (RFC 6749 section 3.3)")
	}
	return wanted, nil
}

func readExpiry(raw json.RawMessage, now time.Time) (time.Time, error) {
	if web.IsNull(raw) {
		return time.Time{}, nil
	}
	text, err := web.Decode[string](raw, "a string such as 2027-01-31T12:00:00Z, or null for no expiry")
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

// grant cuts the request to what the actor may give and the owner have, or says what is too much.
func (g *Registry) grant(owner *store.User, n NewKey, by audit.Actor) (*store.APIKey, error) {
	granted := &store.APIKey{
		Name: n.Name, Description: n.Description, Scope: dedupe(n.Scope), ExpiresAt: n.ExpiresAt, Metadata: n.Metadata, RateLimit: n.RateLimit,
	}
	if n.Disabled {
		granted.Disabled = &store.Disabling{At: web.Time(g.Now()), By: by.Name}
	}
	if latest := by.Key.Expires(); !latest.IsZero() {
		if granted.ExpiresAt.After(latest) {
			return nil, wrong("expires_at", errors.New("must not be later than the expiry of the calling key"))
		}
		if granted.ExpiresAt.IsZero() {
			granted.ExpiresAt = latest
		}
	}
	if by.Key != nil {
		if n.RateLimit == (store.Rate{}) {
			granted.RateLimit = by.Key.RateLimit
		}
		if err := checkRate(granted.RateLimit, by); err != nil {
			return nil, err
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

// checkRate rejects a rate above that of the key which gives it to another, or to itself.
func checkRate(given store.Rate, by audit.Actor) error {
	if by.Key != nil && above(given, by.Key.RateLimit) {
		return wrong("rate_limit", errors.New("must not be above "+by.Key.RateLimit.String()+", that of the calling key"))
	}
	return nil
}

// above is whether a rate allows more calls than the limit, over the longer of their windows. None allows any number.
func above(rate, limit store.Rate) bool {
	switch {
	case limit == (store.Rate{}):
		return false
	case rate == (store.Rate{}):
		return true
	}
	return float64(rate.Count)*limit.Window.Seconds() > float64(limit.Count)*rate.Window.Seconds()
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
