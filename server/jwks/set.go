package jwks

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	strict "github.com/go-jose/go-jose/v4/json"
)

// The limits of a set.
const (
	MaxRegistered     = 8 << 10 // bytes
	maxRegisteredKeys = 10
	maxFetchedKeys    = 100
)

// Set is a set of public keys. It never changes.
type Set struct{ Keys []Key }

// Find returns the keys that may have signed: those with the ID kid that fit alg. An empty kid, of a signature that names no
// key, matches every ID.
func (s *Set) Find(alg, kid string) []*Key {
	var found []*Key
	for i := range s.Keys {
		if k := &s.Keys[i]; (kid == "" || k.ID == kid) && k.Fits(alg) {
			found = append(found, k)
		}
	}
	return found
}

// ParseRegistered reads the set that a client is registered with (RFC 7517 §5): 1 to 10 keys in at most 8 KiB, each kid once.
// A key without a kid gets its thumbprint as one. The canonical form has only the members that Mintkeep uses, and parses to
// itself. The error names the member that is wrong.
func ParseRegistered(raw []byte) (canonical json.RawMessage, set *Set, err error) {
	if len(raw) > MaxRegistered {
		return nil, nil, errTooLarge
	}
	listed, err := readKeys(raw)
	if err != nil {
		return nil, nil, err
	}
	if len(listed) == 0 || len(listed) > maxRegisteredKeys {
		return nil, nil, fmt.Errorf("keys must have 1 to %d keys", maxRegisteredKeys)
	}
	set = &Set{Keys: make([]Key, 0, len(listed))}
	written := jose.JSONWebKeySet{Keys: make([]jose.JSONWebKey, 0, len(listed))}
	for i, raw := range listed {
		k, use, err := registered(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		for j := range set.Keys {
			if set.Keys[j].ID == k.ID {
				return nil, nil, fmt.Errorf("keys[%d]: kid is that of keys[%d]; each key needs its own", i, j)
			}
		}
		set.Keys = append(set.Keys, k)
		written.Keys = append(written.Keys, jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: k.Algorithm, Use: use})
	}
	if canonical, err = json.Marshal(written); err != nil {
		return nil, nil, errors.New("keys cannot be written") // the cause may have values
	}
	if len(canonical) > MaxRegistered { // by the IDs that were added
		return nil, nil, errTooLarge
	}
	return canonical, set, nil
}

var errTooLarge = fmt.Errorf("must have at most %d bytes, the kid of each key included", MaxRegistered)

func registered(raw []byte) (k Key, use string, err error) {
	m, err := readMembers(raw)
	if err != nil {
		return k, "", err
	}
	if k, err = parseKey(m); err != nil {
		return k, "", err
	}
	k.identify()
	use, err = m.text("use")
	return k, use, err
}

// identify gives a key without a kid its thumbprint as the ID: a client that was not told a kid can only name it so (RFC 7638
// §1).
func (k *Key) identify() {
	if k.ID == "" {
		k.ID = k.Thumbprint
	}
}

// ParseFetched reads a set that was fetched. It skips each key that Mintkeep cannot use (RFC 7517 §5). More than 100 keys,
// or none that is usable, is an error.
func ParseFetched(raw []byte) (*Set, error) {
	listed, err := readKeys(raw)
	if err != nil {
		return nil, err
	}
	if len(listed) > maxFetchedKeys {
		return nil, fmt.Errorf("keys must have at most %d keys", maxFetchedKeys)
	}
	set := &Set{}
	for _, raw := range listed {
		m, err := readMembers(raw)
		if err != nil {
			continue
		}
		if k, err := parseKey(m); err == nil {
			k.identify()
			set.Keys = append(set.Keys, k)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("keys has no key that can be used: RSA of 2048 bits or more, EC P-256 or Ed25519, for signatures")
	}
	return set, nil
}

// readKeys reads the one member of a set that is defined (RFC 7517 §5.1).
func readKeys(raw []byte) ([]strict.RawMessage, error) {
	m, err := readMembers(raw)
	if err != nil {
		return nil, err
	}
	var listed []strict.RawMessage
	if !m.has("keys") || strict.Unmarshal(m["keys"], &listed) != nil {
		return nil, errors.New("keys must be an array of keys")
	}
	return listed, nil
}
