package clients

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/store"
)

// PublicKey is what operators see of a key of a client.
type PublicKey struct {
	ID         string    // kid; empty: the key is at a URL, and known by its thumbprint alone
	Thumbprint string    // RFC 7638
	Algorithms []string  // by which the client may sign with it; none: the key is at a URL
	Used       time.Time // the last time; zero: never
}

// Name is what the key is called.
func (k PublicKey) Name() string { return cmp.Or(k.ID, k.Thumbprint) }

// PublicKeys are the keys of a client, in the order of the registration. Of keys at a URL, these are those that were used, the
// latest first. used has the last uses by thumbprint.
func PublicKeys(m *store.ClientMetadata, used map[string]time.Time) (all []PublicKey) {
	for _, k := range Keys(m) {
		may := slices.DeleteFunc(slices.Clone(k.Algorithms()), func(alg string) bool { return m.SigningAlg != "" && m.SigningAlg != alg })
		all = append(all, PublicKey{k.ID, k.Thumbprint, may, used[k.Thumbprint]})
	}
	if m.JWKSURI == "" {
		return all
	}
	latest := func(a, b string) int { return cmp.Or(used[b].Compare(used[a]), strings.Compare(a, b)) }
	for _, thumbprint := range slices.SortedFunc(maps.Keys(used), latest) {
		all = append(all, PublicKey{Thumbprint: thumbprint, Used: used[thumbprint]})
	}
	return all
}

// Keys are the keys that a client is registered with. None: it has none, or they are at a URL.
func Keys(m *store.ClientMetadata) []jwks.Key {
	if len(m.JWKS) == 0 {
		return nil
	}
	_, set, err := jwks.ParseRegistered(m.JWKS)
	if err != nil {
		return nil
	}
	return set.Keys
}

// thumbprints name the keys that a client is registered with.
func thumbprints(m *store.ClientMetadata) (names []string) {
	for _, k := range Keys(m) {
		names = append(names, k.Thumbprint)
	}
	return names
}
