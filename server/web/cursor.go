package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/mintkeep/mintkeep/server/seal"
)

const cursorTag = 16 // bytes

// Cursors seals positions in a listing into the opaque cursors that callers see, and opens them: a
// position goes to the store as it is, so a caller must not invent one. The first master key seals, all open.
type Cursors struct{ vault *seal.Vault }

// NewCursors makes cursors under the master keys of the vault.
func NewCursors(v *seal.Vault) Cursors { return Cursors{v} }

func (c Cursors) keys() [][]byte { return c.vault.Derive("mintkeep cursor 1") }

// Seal makes the cursor of a position in the listing, which is named by its route and its filters. The empty position,
// behind the last item, has none.
func (c Cursors) Seal(position string, listing ...string) string {
	if position == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(tag(c.keys()[0], position, listing), position...))
}

// Open gives the position back; a cursor that is forged, or of another listing, is rejected. No cursor is the beginning.
func (c Cursors) Open(cursor string, listing ...string) (position string, err error) {
	if cursor == "" {
		return "", nil
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	// Package base64 skips line breaks; a cursor has one spelling.
	if err == nil && len(sealed) > cursorTag && !strings.ContainsAny(cursor, "\r\n") {
		position = string(sealed[cursorTag:])
		for _, key := range c.keys() {
			if hmac.Equal(sealed[:cursorTag], tag(key, position, listing)) {
				return position, nil
			}
		}
	}
	return "", InvalidRequest("cursor: is not valid for this list; start again without a cursor")
}

// tag is over the parts with their lengths in front, so that no two listings look alike.
func tag(key []byte, position string, listing []string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range append([]string{position}, listing...) {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)[:cursorTag]
}
