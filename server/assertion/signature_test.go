package assertion

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"testing"
)

// A signature reaches crypto/ecdsa as DER encodes two numbers, whatever zeros they begin with.
func TestSignatureIsEncodedAsDER(t *testing.T) {
	numbers := [][]byte{{}, {1}, {0x7f}, {0x80}, {0x01, 0x00}, bytes.Repeat([]byte{0x7f}, 31), bytes.Repeat([]byte{0xff}, 31), bytes.Repeat([]byte{0x7f}, 32), bytes.Repeat([]byte{0xff}, 32)}
	for _, r := range numbers {
		for _, s := range numbers {
			one, other := new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)
			want, err := asn1.Marshal(struct{ R, S *big.Int }{one, other})
			if err != nil {
				t.Fatal(err)
			}
			signature := append(one.FillBytes(make([]byte, 32)), other.FillBytes(make([]byte, 32))...)
			if got := asn1Signature(signature); !bytes.Equal(got, want) {
				t.Errorf("%x and %x: got %x, want %x", r, s, got, want)
			}
		}
	}
}
