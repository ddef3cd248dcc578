package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/store/rollback"
)

// The public keys of a client are in its metadata, and each has a marker: a field of the record with a random value, drawn
// when the key is registered. Only a key with its marker can be used. So the removal of a key deletes something, as that of a
// secret does, and is replayed if Redis loses it: a key that comes back with the metadata has no marker then. The marker of a
// key that is registered again has another value, which a replay leaves alone.
//
// What a reader is given has no key without a marker: see [storedMetadata.usable].

// markerField begins the field of a marker. Behind it is the thumbprint of the key (RFC 7638), or the SHA-256 of the URL where
// the keys are, both base64url without padding: another URL has another marker.
const markerField = "k:"

// storedMetadata is the metadata of a client as it is stored, with the names of the markers, so that reading a client once more
// parses no key.
type storedMetadata struct {
	ClientMetadata
	uriMarker string
	keys      []markedKey // of JWKS, in its order
}

// markedKey is one key of a registered set.
type markedKey struct {
	marker string
	jwk    json.RawMessage
}

// UnmarshalJSON reads the metadata, and what the markers of its keys are called.
func (r *storedMetadata) UnmarshalJSON(body []byte) error {
	err := r.ClientMetadata.UnmarshalJSON(body)
	if err != nil {
		return err
	}
	r.uriMarker, r.keys, err = markersOf(&r.ClientMetadata)
	return err
}

// usable is the metadata with the keys that have their markers among the fields of the record, and no others.
func (r *storedMetadata) usable(fields map[string]string) ClientMetadata {
	m := r.ClientMetadata
	if r.uriMarker != "" && fields[r.uriMarker] == "" {
		m.JWKSURI = ""
	}
	unmarked := func(k markedKey) bool { return fields[k.marker] == "" }
	switch {
	case len(r.keys) == 0:
		m.JWKS = nil
	case slices.ContainsFunc(r.keys, unmarked):
		m.JWKS = setOfKeys(slices.DeleteFunc(slices.Clone(r.keys), unmarked))
	}
	return m
}

// setOfKeys writes a set of some keys of another (RFC 7517 §5). No set has no key.
func setOfKeys(keys []markedKey) json.RawMessage {
	if len(keys) == 0 {
		return nil
	}
	jwks := make([][]byte, len(keys))
	for i, k := range keys {
		jwks[i] = k.jwk
	}
	return slices.Concat([]byte(`{"keys":[`), bytes.Join(jwks, []byte(",")), []byte("]}"))
}

// markersOf says what the markers of keys are called. An error: the set is not one that this version can have registered.
func markersOf(m *ClientMetadata) (uriMarker string, keys []markedKey, err error) {
	if m.JWKSURI != "" {
		uriMarker = markerOf(m.JWKSURI)
	}
	if len(m.JWKS) == 0 {
		return uriMarker, nil, nil
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(m.JWKS, &set); err != nil {
		return "", nil, errUnreadableKeys
	}
	for _, jwk := range set.Keys {
		marker, err := keyMarker(jwk)
		if err != nil {
			return "", nil, err
		}
		keys = append(keys, markedKey{marker, jwk})
	}
	return uriMarker, keys, nil
}

var errUnreadableKeys = errors.New("the public keys of the client cannot be read")

func markerOf(of string) string {
	digest := sha256.Sum256([]byte(of))
	return markerField + base64.RawURLEncoding.EncodeToString(digest[:])
}

// keyMembers are those that make a key of each type (RFC 7638 §3.2, RFC 8037 §2).
var keyMembers = map[string][]string{"EC": {"crv", "kty", "x", "y"}, "OKP": {"crv", "kty", "x"}, "RSA": {"e", "kty", "n"}}

// keyMarker is the marker of a key, by its thumbprint. The key is in the canonical form, in which it was registered.
func keyMarker(jwk json.RawMessage) (string, error) {
	var members map[string]any
	if json.Unmarshal(jwk, &members) != nil {
		return "", errUnreadableKeys
	}
	kty, _ := members["kty"].(string)
	names, known := keyMembers[kty]
	if !known {
		return "", errUnreadableKeys
	}
	of := map[string]string{} // which is written in the order of RFC 7638 §3.3
	for _, name := range names {
		value, ok := members[name].(string)
		if !ok {
			return "", errUnreadableKeys
		}
		of[name] = value
	}
	text, err := json.Marshal(of)
	return markerOf(string(text)), err
}

// markerChange is what becomes of the markers of a client when its metadata is written.
type markerChange struct {
	drawn   []any    // fields and values: of the keys that had none
	removed []string // fields: of the keys that are not registered any more
}

// marking compares the markers among the fields of a record with the keys that the client is to have.
func marking(fields map[string]string, m *ClientMetadata) (c markerChange, err error) {
	uriMarker, keys, err := markersOf(m)
	if err != nil {
		return c, err
	}
	var wanted []string
	if uriMarker != "" {
		wanted = append(wanted, uriMarker)
	}
	for _, k := range keys {
		if !slices.Contains(wanted, k.marker) { // a key may have two kids
			wanted = append(wanted, k.marker)
		}
	}
	for _, marker := range wanted {
		if fields[marker] == "" {
			c.drawn = append(c.drawn, marker, randomValue())
		}
	}
	for field := range fields {
		if strings.HasPrefix(field, markerField) && !slices.Contains(wanted, field) {
			c.removed = append(c.removed, field)
		}
	}
	slices.Sort(c.removed)
	return c, nil
}

// clientKeyRevocation is a Revocation of what a client authenticates with.
func (c Cause) clientKeyRevocation(clientID string) Revocation {
	r := c.revocation(ClientKeyRevoked)
	r.ClientID = clientID
	return r
}

// steps are what the change revokes, of a client whose record has these fields.
func (c markerChange) steps(cause Cause, clientID string, fields map[string]string) []step {
	if len(c.removed) == 0 {
		return nil
	}
	revoked := step{Revocation: cause.clientKeyRevocation(clientID)}
	for _, marker := range c.removed {
		revoked.deletions = append(revoked.deletions, rollback.OfFields(clientKey(clientID), marker).While(marker, fields[marker]))
	}
	return []step{revoked}
}
