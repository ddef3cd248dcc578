package web

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// Derive makes a key of 32 bytes from each master key, for one purpose alone (RFC 5869): purpose is HKDF's info.
// The first of them seals, all of them open.
func Derive(masterKeys [][]byte, purpose string) [][]byte {
	derived := make([][]byte, len(masterKeys))
	for i, master := range masterKeys {
		key, err := hkdf.Key(sha256.New, master, nil, purpose, sha256.Size)
		if err != nil {
			panic(err) // only for a key length that SHA-256 cannot give
		}
		derived[i] = key
	}
	return derived
}
