package keys

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const (
	maxName   = 100 // characters
	maxReason = 200
	maxScope  = 4096 // bytes
	// farthest is the latest expiry. What should live longer never expires.
	farthest = 100 * 365 * 24 * time.Hour
)

// Wish is what somebody wants of a new key.
type Wish struct {
	Name      string
	Scope     string    // empty: all that developers may give, but none of Mintkeep's own
	ExpiresAt time.Time // zero: never, or when the key that makes it does
}

// slips are members that people write for those that there are. Passed over, as unknown members are, they would
// make a wider key than was meant.
var slips = map[string]string{
	"scopes":     "scope is a string, with a space between two scopes",
	"expires_in": "expires_at is a time",
	"expires":    "expires_at is a time",
	"expiry":     "expires_at is a time",
}

// ReadWish reads name, scope and expires_at. What is wrong is a 400 that names the member.
func ReadWish(o web.Object, now time.Time) (w Wish, err error) {
	for slip, meant := range slips {
		if o.Has(slip) {
			return w, web.InvalidRequest("%s: is not a member of a key; %s", slip, meant)
		}
	}
	if w.Name, err = readName(o); err != nil {
		return w, wrong("name", err)
	}
	if o.Has("scope") {
		if w.Scope, err = web.Decode[string](o["scope"], "a string, with a space between two scopes"); err != nil {
			return w, wrong("scope", err)
		}
	}
	if len(w.Scope) > maxScope || w.Scope != "" && !scope.Valid(w.Scope) {
		return w, wrongScope("must be scopes as RFC 6749 section 3.3 has them, with one space between two")
	}
	if w.ExpiresAt, err = readExpiry(o, now); err != nil {
		return w, wrong("expires_at", err)
	}
	return w, nil
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

// CheckName trims the name of a key and says what is wrong with it.
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
	text, err := web.Decode[string](o["expires_at"], "a string such as 2027-01-31T12:00:00Z, or null for never")
	if err != nil || text == "" {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errors.New("must be a time such as 2027-01-31T12:00:00Z, or null for never")
	}
	switch at = web.Time(at); {
	case !at.After(now):
		return time.Time{}, errors.New("must be in the future")
	case at.After(now.Add(farthest)):
		return time.Time{}, errors.New("must be within 100 years; null is never")
	}
	return at, nil
}

// ReadReason reads why a key is ended, from the query; otherwise is what stands for no reason.
func ReadReason(r *http.Request, otherwise string) (string, error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return "", err
	}
	reason, err := query.Text("reason")
	if err != nil {
		return "", err
	}
	if reason, err = CheckReason(reason, otherwise); err != nil {
		return "", wrong("reason", err)
	}
	return reason, nil
}

// CheckReason trims why a key is ended, and says what is wrong with it.
func CheckReason(reason, otherwise string) (string, error) {
	switch reason = strings.TrimSpace(reason); {
	case reason == "":
		return otherwise, nil
	case utf8.RuneCountInString(reason) > maxReason || !web.Printable(reason):
		return "", errors.New("must be printable text of at most 200 characters")
	}
	return reason, nil
}

// grant cuts a wish to what the maker may give and the owner have, or says what is too much.
func (k *Keeper) grant(owner *store.User, w Wish, by Maker) (*store.APIKey, error) {
	granted := &store.APIKey{Name: w.Name, Scope: dedupe(w.Scope), ExpiresAt: w.ExpiresAt}
	if ends := by.expiry(); !ends.IsZero() {
		if granted.ExpiresAt.After(ends) {
			return nil, wrong("expires_at", errors.New("must not be after the expiry of the key that makes it"))
		}
		if granted.ExpiresAt.IsZero() {
			granted.ExpiresAt = ends
		}
	}
	if w.Scope == "" {
		granted.Scope = k.defaultScope(by)
		return granted, nil
	}
	if by.Key != nil {
		if err := checkAgainstKey(granted.Scope, by); err != nil {
			return nil, err
		}
	}
	if beyond := scope.Beyond(granted.Scope, k.Allowed(owner)); len(beyond) > 0 {
		return nil, wrongScope("may have " + k.Allowed(owner) + ", and nothing else for this person; MINTKEEP_KEY_SCOPES names what developers may give")
	}
	return granted, nil
}

// Allowed are the scopes that a person may give to their keys.
func (k *Keeper) Allowed(owner *store.User) string {
	allowed := strings.Join(append(append([]string{}, k.Config.KeyScopes...), scope.Keys), " ")
	if owner.Role() == store.Operator {
		allowed += " " + scope.Admin
	}
	return allowed
}

// checkAgainstKey refuses what the key that makes another has not, and Mintkeep's own scopes altogether.
func checkAgainstKey(wanted string, by Maker) error {
	if scope.HasOwn(wanted) {
		return wrongScope("cannot have " + strings.Join(scope.Own, ", ") + " when it is made by a key")
	}
	if len(scope.Beyond(wanted, by.Scope)) > 0 {
		return wrongScope("must not go beyond the scope of the key that makes it")
	}
	return nil
}

func (k *Keeper) defaultScope(by Maker) string {
	var granted []string
	for _, token := range k.Config.KeyScopes {
		if by.Key == nil || scope.Has(by.Scope, token) {
			granted = append(granted, token)
		}
	}
	return strings.Join(granted, " ")
}

// succeed is what the successor of a key may have: the same, but what no key may give to another.
func succeed(owner *store.User, old *store.APIKey, record *store.KeyRecord, by Maker) (*store.APIKey, error) {
	granted := &store.APIKey{Name: old.Name, Scope: old.Scope, ExpiresAt: old.ExpiresAt}
	if !record.Operator.Matches(owner.Operator) { // what a demotion took away is not given back
		granted.Scope = scope.Without(granted.Scope, scope.Admin)
	}
	if by.Key == nil {
		return granted, nil
	}
	granted.Scope = scope.WithoutOwn(old.Scope)
	if len(scope.Beyond(granted.Scope, by.Scope)) > 0 {
		return nil, &BeyondError{granted.Scope}
	}
	if ends := by.expiry(); !ends.IsZero() && (granted.ExpiresAt.IsZero() || ends.Before(granted.ExpiresAt)) {
		granted.ExpiresAt = ends
	}
	return granted, nil
}

// BeyondError says that a key cannot rotate another, which has scopes that it has not itself.
type BeyondError struct{ Scope string }

func (*BeyondError) Error() string { return "the key has scopes that the key which rotates it has not" }

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
	return &web.Error{Status: http.StatusBadRequest, Code: "invalid_scope", Description: "scope: " + why}
}
