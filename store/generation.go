package store

import (
	"crypto/rand"
	rng "math/rand/v2"
	"strconv"
)

// Generation names what a client's or a user's credentials were created under: 128 random bits, never a counter, so
// that no two generations are equal, not even of a client that was deleted and registered again. A token's record carries
// the generation that it was issued under and is not valid under another.
type Generation [16]byte

// NewGeneration draws one.
func NewGeneration() (g Generation) {
	_, _ = rand.Read(g[:]) // never fails
	return g
}

// randomValue is the value of a field that only has to be there. It is another each time, so that it can be the condition
// of a deletion: a replay must not delete what began after it.
func randomValue() string {
	return strconv.FormatUint(rng.Uint64(), 36) //nolint:gosec // it is no secret
}

// Matches says whether a record created under g is valid for an owner whose generation is now. None, the
// zero value, matches nothing, not even itself.
func (g Generation) Matches(now Generation) bool { return g == now && g != Generation{} }

// generationOf reads a field; what is not one is none.
func generationOf(field string) (g Generation) {
	if len(field) == len(g) {
		copy(g[:], field)
	}
	return g
}
