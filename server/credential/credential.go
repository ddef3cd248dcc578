package credential

import (
	"crypto/rand"
	"hash/crc32"
	"strings"
)

const (
	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	random   = 40
	checksum = 6
	// A brand is two to eight characters, and a letter for the kind may follow.
	maxPrefix = 9
)

// NewKey creates an API key under a brand.
func NewKey(brand string) string { return build(brand + "_") }

// NewSecret creates a client secret under a brand.
func NewSecret(brand string) string { return build(brand + "s_") }

// NewToken creates an opaque access token under a brand.
func NewToken(brand string) string { return build(brand + "t_") }

func build(prefix string) string {
	b := make([]byte, 0, len(prefix)+random+checksum)
	b = append(b, prefix...)
	b = appendRandom(b)
	return string(appendChecksum(b, b))
}

// appendRandom draws bytes until enough of them fall below the largest multiple of 62, so that every
// character is equally likely.
func appendRandom(b []byte) []byte {
	const fair = 256 - 256%len(alphabet)
	var pool [64]byte
	for left := random; left > 0; {
		_, _ = rand.Read(pool[:]) // never fails
		for _, r := range pool {
			if int(r) < fair && left > 0 {
				b = append(b, alphabet[int(r)%len(alphabet)])
				left--
			}
		}
	}
	return b
}

func appendChecksum(dst, of []byte) []byte {
	sum := crc32.ChecksumIEEE(of)
	var digits [checksum]byte
	for i := checksum - 1; i >= 0; i-- {
		digits[i] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return append(dst, digits[:]...)
}

// WellFormed is whether s has the format of a credential, of any brand: the brand may have changed since
// s was created. Whether s is valid is another question.
func WellFormed(s string) bool {
	prefix := len(s) - random - checksum
	if prefix < 3 || prefix > maxPrefix+1 || s[prefix-1] != '_' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		digit, lower, upper := '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z'
		if i < prefix-1 && !lower && (!digit || i == 0) || i >= prefix && !digit && !lower && !upper {
			return false
		}
	}
	body := s[:len(s)-checksum]
	return string(appendChecksum(nil, []byte(body))) == s[len(body):]
}

// TokenLike is whether s has the form of an access token, and not of an API key of the brand: a JWT, or an opaque token.
// It goes by the form alone, so that the answer tells nothing of what exists.
func TokenLike(s, brand string) bool {
	prefix, _, found := strings.Cut(s, "_")
	return strings.Contains(s, ".") || found && prefix != brand && strings.HasSuffix(prefix, "t") && WellFormed(s)
}

// Mask is how a credential that Mintkeep created may be shown: its prefix, and the first and the last four
// characters of the rest. More than 190 bits of it stay unknown.
func Mask(s string) string {
	body := strings.IndexByte(s, '_') + 1
	if len(s) < body+8 {
		return "…"
	}
	return s[:body+4] + "…" + LastFour(s)
}

// LastFour is what may be shown of a credential that Mintkeep created.
func LastFour(s string) string { return s[max(0, len(s)-4):] }
