package oauth

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"github.com/mintkeep/mintkeep/server/jwks"
)

// maxKeySets is how many parsed sets are kept, at most.
const maxKeySets = 4096

// registeredKeys keeps the sets that clients are registered with, parsed, by the digest of the stored bytes: a change of the
// client's keys is another set. A hit takes no lock.
type registeredKeys struct {
	sets sync.Map // [32]byte → *jwks.Set
	n    atomic.Int64
}

func (k *registeredKeys) set(stored []byte) (*jwks.Set, error) {
	digest := sha256.Sum256(stored)
	if known, ok := k.sets.Load(digest); ok {
		return known.(*jwks.Set), nil
	}
	_, set, err := jwks.ParseRegistered(stored)
	if err != nil {
		return nil, err // the record is damaged, or of a newer version
	}
	if k.n.Add(1) > maxKeySets { // more sets than that are in use: begin again
		k.sets.Clear()
		k.n.Store(1)
	}
	k.sets.Store(digest, set)
	return set, nil
}
