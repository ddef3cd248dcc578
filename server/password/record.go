package password

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// record is a hash with what it was computed from, except the password.
type record struct {
	cost      Cost
	salt, sum []byte
}

// The bounds of a record. Any machine can compute a hash within them; a damaged record must not use up its memory.
const (
	maxMemory = 1 << 20 // KiB
	maxPasses = 1 << 10
	maxLanes  = 1 << 6
	minBytes  = 8 // of a salt, RFC 9106 §3.1
	minSum    = 16
	maxBytes  = 64
)

var errRecord = errors.New("not an argon2id hash that this version understands")

var b64 = base64.RawStdEncoding.Strict()

// encode writes the PHC string: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>.
func (r record) encode() []byte {
	return fmt.Appendf(nil, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		r.cost.Memory, r.cost.Passes, r.cost.Lanes, b64.EncodeToString(r.salt), b64.EncodeToString(r.sum))
}

// parse reads what encode writes, and nothing else.
func parse(phc []byte) (record, error) {
	// "", argon2id, the version, the cost, the salt, the hash
	parts := strings.Split(string(phc), "$")
	if len(parts) != 6 {
		return record{}, errRecord
	}
	r, ok := record{}, true
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return record{}, errRecord
	}
	r.cost.Memory = uint32(number(costs[0], "m=", maxMemory, &ok))
	r.cost.Passes = uint32(number(costs[1], "t=", maxPasses, &ok))
	r.cost.Lanes = uint8(number(costs[2], "p=", maxLanes, &ok))
	r.salt = decode(parts[4], minBytes, &ok)
	r.sum = decode(parts[5], minSum, &ok)
	// A record is written in one form only, so this compares what was not checked above.
	if !ok || !bytes.Equal(r.encode(), phc) {
		return record{}, errRecord
	}
	return r, nil
}

func number(text, name string, limit uint64, ok *bool) uint64 {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, name), 10, 32)
	if err != nil || n < 1 || n > limit {
		*ok = false
		return 0
	}
	return n
}

func decode(text string, shortest int, ok *bool) []byte {
	b, err := b64.DecodeString(text)
	if err != nil || len(b) < shortest || len(b) > maxBytes {
		*ok = false
	}
	return b
}
