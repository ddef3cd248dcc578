package store

import "crypto/rand"

// Generation names one life of a client: 128 random bits, never a counter, so that no two lives, not
// even of a client that was deleted and registered again, can have the same. A token's record carries
// the generation that it was issued under and is worth nothing under another.
type Generation [16]byte

// NewGeneration draws one.
func NewGeneration() (g Generation) {
	_, _ = rand.Read(g[:]) // never fails
	return g
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
