package feed

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// entryID is the id of an entry of a stream. Redis makes it from its clock, so a Redis that has lost data may give it again.
type entryID struct{ ms, seq uint64 }

func (id entryID) String() string { return fmt.Sprintf("%d-%d", id.ms, id.seq) }

func (id entryID) compare(other entryID) int {
	return cmp.Or(cmp.Compare(id.ms, other.ms), cmp.Compare(id.seq, other.seq))
}

func parseEntryID(text string) (id entryID, err error) {
	ms, seq, _ := strings.Cut(text, "-")
	if id.ms, err = strconv.ParseUint(ms, 10, 64); err != nil {
		return id, err
	}
	id.seq, err = strconv.ParseUint(seq, 10, 64)
	return id, err
}

// tag is random, and another one in each entry. It tells an entry from another one with the same id.
type tag [8]byte

// Cursor is a place in the feed: how far a guard has read.
type Cursor struct {
	id  entryID
	tag tag
}

const cursorSize = 8 + 8 + len(tag{})

// String is base64url without padding, 32 characters.
func (c Cursor) String() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, cursorSize), c.id.ms)
	b = binary.BigEndian.AppendUint64(b, c.id.seq)
	return base64.RawURLEncoding.EncodeToString(append(b, c.tag[:]...))
}

// ParseCursor reads what [Cursor.String] wrote. It is false for everything else.
func ParseCursor(text string) (c Cursor, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorSize {
		return c, false
	}
	c.id = entryID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
	c.tag = tag(b[16:])
	return c, true
}
