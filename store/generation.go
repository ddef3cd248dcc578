package store

import (
	"crypto/rand"
	rng "math/rand/v2"
	"strconv"
)

// Generation names one life of a client: 128 random bits, never a counter, so that no two lives, not
// even of a client that was deleted and registered again, can have the same. A token's record carries
// the generation that it was issued under and is worth nothing under another.
type Generation [16]byte

// NewGeneration draws one.
func NewGeneration() (g Generation) {
	_, _ = rand.Read(g[:]) // never fails
	return g
}

// newSign is the value of a field that only has to be there: each time another, so that an end which is repeated, since
// Redis has lost it, can be kept from ending what began after it.
func newSign() string {
	return strconv.FormatUint(rng.Uint64(), 36) //nolint:gosec // it tells lives apart, and keeps nobody out
}

// Matches says whether a record made under g is good for an owner whose generation is now. None, the
// zero value, matches nothing, not even itself.
func (g Generation) Matches(now Generation) bool { return g == now && g != Generation{} }

// generationOf reads a field; what is not one is none.
func generationOf(field string) (g Generation) {
	if len(field) == len(g) {
		copy(g[:], field)
	}
	return g
}
