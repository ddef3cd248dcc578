package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const (
	maxName        = 100  // characters
	maxDescription = 500  // characters
	maxReason      = 200  // characters
	maxScope       = 4096 // bytes
	maxMetadata    = 20   // pairs
	maxValue       = 500  // characters
)

var metadataNames = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// misnamed are members that callers confuse with those that exist. Ignored, as unknown members are, they would
// make a wider key than was meant.
var misnamed = map[string]string{
	"scopes":     "scope is a string of space-separated scopes",
	"expires_in": "use expires_at, a time",
	"expires":    "use expires_at, a time",
	"expiry":     "use expires_at, a time",
	"enabled":    "use disabled",
}

func checkMisnamed(o web.Object) error {
	for name, meant := range misnamed {
		if o.Has(name) {
			return web.InvalidRequest("%s: is unknown; %s", name, meant)
		}
	}
	return nil
}

// checkName trims the name of a key, 1 to 100 printable characters, and says what is wrong with it.
func checkName(name string) (string, error) {
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

func readName(raw json.RawMessage) (string, error) {
	if web.IsNull(raw) {
		return "", errors.New("is missing")
	}
	name, err := web.Decode[string](raw, "a string")
	if err != nil {
		return "", err
	}
	return checkName(name)
}

// readDescription reads up to 500 printable characters; null is none.
func readDescription(raw json.RawMessage) (string, error) {
	if web.IsNull(raw) {
		return "", nil
	}
	text, err := web.Decode[string](raw, "a string")
	if err != nil {
		return "", err
	}
	switch text = strings.TrimSpace(text); {
	case utf8.RuneCountInString(text) > maxDescription:
		return "", errors.New("must have at most 500 characters")
	case !web.Printable(text):
		return "", errors.New("must be printable text in UTF-8, in one line")
	}
	return text, nil
}

// readRateLimit reads a rate such as 600/m; null is none.
func readRateLimit(raw json.RawMessage) (store.Rate, error) {
	if web.IsNull(raw) {
		return store.Rate{}, nil
	}
	text, err := web.Decode[string](raw, "a string, such as 600/m")
	if err != nil {
		return store.Rate{}, err
	}
	return store.ParseRate(text)
}

// mergeMetadata applies a merge patch (RFC 7396) to metadata, which it leaves as it is: null removes a name, or all.
func mergeMetadata(before map[string]string, raw json.RawMessage) (map[string]string, error) {
	if web.IsNull(raw) {
		return nil, nil
	}
	patch, err := web.Decode[map[string]json.RawMessage](raw, "an object of strings")
	if err != nil {
		return nil, err
	}
	after := maps.Clone(before)
	if after == nil {
		after = map[string]string{}
	}
	for _, name := range slices.Sorted(maps.Keys(patch)) { // of several mistakes it is always the same that is told
		if web.IsNull(patch[name]) {
			delete(after, name)
			continue
		}
		if !metadataNames.MatchString(name) {
			return nil, errors.New("must have names of 1 to 64 letters, digits, dots, hyphens and underscores")
		}
		value, err := web.Decode[string](patch[name], "a string")
		switch {
		case err != nil:
			return nil, fmt.Errorf("must be an object of strings; %s is none", name)
		case utf8.RuneCountInString(value) > maxValue || !web.Printable(value):
			return nil, fmt.Errorf("must have values of at most 500 printable characters; that of %s is not so", name)
		}
		after[name] = value
	}
	switch {
	case len(after) > maxMetadata:
		return nil, errors.New("must have at most 20 names")
	case len(after) == 0:
		return nil, nil
	}
	return after, nil
}

// metadataText is metadata as the audit log has it: the names alone.
func metadataText(metadata map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(metadata)), " ")
}

// readDisabled is false where the member is null: the default.
func readDisabled(raw json.RawMessage) (bool, error) {
	if web.IsNull(raw) {
		return false, nil
	}
	return web.Decode[bool](raw, "true or false")
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

func wrong(member string, why error) error { return web.InvalidRequest("%s: %v", member, why) }

func wrongScope(why string) error {
	e := web.InvalidRequest("scope: %s", why)
	e.Code = "invalid_scope"
	return e
}
