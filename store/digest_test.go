package store

import (
	"encoding/hex"
	"testing"
)

func TestDigest(t *testing.T) {
	d := DigestOf("abc") // the example of FIPS 180-2, appendix B.1
	if got, want := hex.EncodeToString(d[:]), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !d.Equal(DigestOf("abc")) || d.Equal(DigestOf("abd")) || d.Equal(Digest{}) {
		t.Error("Equal is wrong")
	}
}
