package feed

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// The fields of an entry: the tag, and one of the others.
const (
	tagField     = "t"
	voidsField   = "v"
	laterField   = "l" // as voidsField, for which no one is woken
	repeatField  = "a"
	markField    = "m"
	restateField = "k"
	breakField   = "r"
	probeField   = "p"
)

// maxEntries is how many entries the stream has; Redis trims whole nodes, so there may be some more.
const maxEntries = 1 << 14

// entry is an entry of the stream.
type entry struct {
	Cursor
	field string // the field beside the tag
	value string // its value, if that is not handles
	voids []Handle
	read  time.Time // when this replica had read it
}

// resets is whether cursors from before it are no longer valid.
func (e *entry) resets() bool { return e.field == markField || e.field == breakField }

// wakes is whether waiting guards are answered because of it.
func (e *entry) wakes() bool {
	return e.field != restateField && e.field != repeatField && e.field != laterField
}

// hasVoids is whether the field has handles.
func hasVoids(field string) bool {
	return field == voidsField || field == laterField || field == repeatField
}

var errEntry = errors.New("an entry of the feed cannot be read")

// parseEntry reads an entry. One of a newer version, or a damaged one, is a break: it may void anything.
func parseEntry(m redis.XMessage, read time.Time) (entry, error) {
	e := entry{read: read, field: breakField}
	var err error
	if e.id, err = parseEntryID(m.ID); err != nil {
		return e, errors.Join(errEntry, err)
	}
	text, _ := m.Values[tagField].(string)
	if len(text) != len(e.tag) {
		return e, nil
	}
	e.tag = tag([]byte(text))
	if len(m.Values) != 2 {
		return e, nil
	}
	for _, field := range []string{voidsField, laterField, repeatField, markField, restateField, probeField} {
		value, there := m.Values[field].(string)
		if !there {
			continue
		}
		isRead := true
		if hasVoids(field) {
			e.voids, isRead = decodeHandles(value)
		} else {
			e.value = value
		}
		if isRead {
			e.field = field
		}
	}
	return e, nil
}

func newTag() tag {
	var t tag
	_, _ = rand.Read(t[:]) // never fails
	return t
}

// appendCommand is the XADD of one entry.
func (f *Feed) appendCommand(ctx context.Context, field, value string) *redis.StringCmd {
	t := newTag()
	return redis.NewStringCmd(ctx, "xadd", f.Key, "maxlen", "~", maxEntries, "*", tagField, string(t[:]), field, value)
}

// Void makes the commands that append these handles; all: also a break, which voids everything.
func (f *Feed) Void(ctx context.Context, handles []Handle, all bool) (cmds []redis.Cmder) {
	return f.appendHandles(ctx, voidsField, handles, all)
}

// VoidLater is Void, but it answers no waiting poll: each poll ends within the lease of its guard. So what anyone can cause
// costs no more polls.
func (f *Feed) VoidLater(ctx context.Context, handles []Handle, all bool) (cmds []redis.Cmder) {
	return f.appendHandles(ctx, laterField, handles, all)
}

// Repeat is VoidLater for handles that were appended before. A replica that reads the entry drops those that guards were told
// already, but not in a cluster.
func (f *Feed) Repeat(ctx context.Context, handles []Handle, all bool) (cmds []redis.Cmder) {
	return f.appendHandles(ctx, repeatField, handles, all)
}

func (f *Feed) appendHandles(ctx context.Context, field string, handles []Handle, all bool) (cmds []redis.Cmder) {
	for part := range slices.Chunk(handles, maxEntryHandles) {
		cmds = append(cmds, f.appendCommand(ctx, field, encodeHandles(part)))
	}
	if all {
		cmds = append(cmds, f.appendCommand(ctx, breakField, "1"))
	}
	return cmds
}

// Delete is the command that deletes the feed, which makes every cursor invalid. Redis accepts it when it is out of memory.
func (f *Feed) Delete(ctx context.Context) *redis.IntCmd { return redis.NewIntCmd(ctx, "del", f.Key) }
