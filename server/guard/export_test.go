package guard

import (
	"encoding/base64"
	"hash/crc32"
	"time"
)

// NewWithClocks makes a guard whose two clocks are those of the test.
func NewWithClocks(c Config, now func() (mono, wall time.Duration)) (*Guard, error) {
	return newGuard(c, func() instant {
		mono, wall := now()
		return instant{mono, wall}
	})
}

// The limits that tests reach.
const (
	MaxQuestions = maxQuestions
	MaxWaiting   = maxWaiting
	MaxUsed      = maxUsed
)

// HandleOf is the handle of a credential.
func HandleOf(credential string) string {
	h := digestOf(credential).handle()
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// Checksummed is a well-formed credential: the body and its checksum.
func Checksummed(body string) string {
	sum, digits := crc32.ChecksumIEEE([]byte(body)), [checksumLen]byte{}
	for i := checksumLen - 1; i >= 0; i-- {
		digits[i] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return body + string(digits[:])
}

// checksummed is a well-formed opaque token.
func checksummed(random string) string { return Checksummed("mkt_" + random) }
