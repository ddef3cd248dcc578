package store

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Digest is the SHA-256 of a secret, a key or a token: the only form in which the store sees one.
// They are random and long, so there is nothing to guess, and a slow or salted hash would add
// nothing; for the same reason a digest may be a key that is looked up.
type Digest [sha256.Size]byte

// DigestOf is the digest of a credential as it was presented.
func DigestOf(credential string) Digest {
	var room [1 << 10]byte // enough for most tokens; a conversion would allocate each
	return sha256.Sum256(append(room[:0], credential...))
}

// Equal compares in constant time, so that the time taken says nothing of where two digests part.
func (d Digest) Equal(other Digest) bool { return subtle.ConstantTimeCompare(d[:], other[:]) == 1 }

// digestsOf are the entries of an index as digests. A damaged one, which has another length, is left out.
func digestsOf(members []string) []Digest {
	digests := make([]Digest, 0, len(members))
	for _, member := range members {
		if len(member) == len(Digest{}) {
			digests = append(digests, Digest([]byte(member)))
		}
	}
	return digests
}
