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

// record is a hash with what it was made from, but for the password.
type record struct {
	cost      Cost
	salt, sum []byte
}

// What a record may say. A hash within these bounds can be made by any server that runs at all; a damaged
// record shall not take the memory of the machine.
const (
	mostMemory = 1 << 20 // KiB
	mostPasses = 1 << 10
	mostLanes  = 1 << 6
	leastBytes = 8 // of a salt, RFC 9106 §3.1
	leastSum   = 16
	mostBytes  = 64
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
	r.cost.Memory = uint32(number(costs[0], "m=", mostMemory, &ok))
	r.cost.Passes = uint32(number(costs[1], "t=", mostPasses, &ok))
	r.cost.Lanes = uint8(number(costs[2], "p=", mostLanes, &ok))
	r.salt = decode(parts[4], leastBytes, &ok)
	r.sum = decode(parts[5], leastSum, &ok)
	// There is one way to write a record; whatever was not looked at above shows here.
	if !ok || !bytes.Equal(r.encode(), phc) {
		return record{}, errRecord
	}
	return r, nil
}

func number(text, name string, most uint64, ok *bool) uint64 {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, name), 10, 32)
	if err != nil || n < 1 || n > most {
		*ok = false
		return 0
	}
	return n
}

func decode(text string, least int, ok *bool) []byte {
	b, err := b64.DecodeString(text)
	if err != nil || len(b) < least || len(b) > mostBytes {
		*ok = false
	}
	return b
}
