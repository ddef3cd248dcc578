package rollback

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Deletion is one DEL or HDEL by which a revocation takes effect. Redis applies it even when it is out of memory, and
// it may be sent again.
type Deletion struct {
	key    string
	fields []string // empty: the whole key

	// field and value are the condition: the deletion is replayed only while the field has the value, which tells what
	// was deleted from something newer under the same key. Without a field there is none: the name of what is deleted
	// is random, and never used again.
	field, value string

	// implied: another deletion of the same batch removes this field as well. This one is needed only if the condition
	// of the other no longer holds: the field of that condition was set again, and this field has its old value.
	implied bool
}

// OfKey is the deletion of a key.
func OfKey(key string) Deletion { return Deletion{key: key} }

// OfFields is the deletion of fields of a hash.
func OfFields(key string, fields ...string) Deletion { return Deletion{key: key, fields: fields} }

// While gives the deletion a condition. An empty value means that the field was absent.
func (d Deletion) While(field, value string) Deletion {
	d.field, d.value = field, value
	return d
}

// Implied says that another deletion of the same batch removes the field as well.
func (d Deletion) Implied() Deletion {
	d.implied = true
	return d
}

// Command is the deletion as it is sent. Its answer is how many keys or fields there were.
func (d Deletion) Command(ctx context.Context) *redis.IntCmd {
	name := "del"
	if len(d.fields) > 0 {
		name = "hdel"
	}
	args := []any{name, d.key}
	for _, field := range d.fields {
		args = append(args, field)
	}
	return redis.NewIntCmd(ctx, args...)
}

// deletesNothing is whether the field of the condition was absent, so that there was nothing to delete.
func (d Deletion) deletesNothing() bool {
	return d.field != "" && d.value == "" && len(d.fields) > 0
}

// holds is whether the condition is met by the object as it was read: by the field that says that the object exists,
// and by the field of the condition.
func (d Deletion) holds(fields []any) bool {
	if len(fields) < 2 || fields[0] == nil {
		return false
	}
	value, _ := fields[1].(string)
	return value == d.value
}

// Entry is a deletion as the redo log remembers it.
type Entry struct {
	Deletion
	// Payload is given back to [Options.Announce] when the deletion is sent again. It is a pointer, or nil.
	Payload any
	// Announced: the payload was announced behind the deletion. The heartbeat that covers the deletion announces it as a
	// repetition. After a rollback it counts as not announced.
	Announced bool

	// unacknowledged: the caller got an error, and the deletion may or may not have been applied.
	unacknowledged bool
}

// replay is an entry that is sent again. A deletion with a condition is not sent at once: the object is read first, for
// it may be newer.
type replay struct {
	Entry
	deleted *redis.IntCmd
	read    *redis.SliceCmd
}

func (m *Monitor) newReplay(ctx context.Context, p redis.Pipeliner, e Entry) replay {
	if e.field != "" {
		return replay{Entry: e, read: p.HMGet(ctx, e.key, m.ExistsField, e.field)}
	}
	r := replay{Entry: e, deleted: e.Command(ctx)}
	_ = p.Process(ctx, r.deleted)
	return r
}

// gone is whether nothing is left to delete: the deletion was sent again, or its condition does not hold.
func (r replay) gone() (bool, error) {
	if r.deleted != nil {
		return true, r.deleted.Err()
	}
	return !r.holds(r.read.Val()), r.read.Err()
}

// deleteAgain deletes what a rollback has brought back, or what was never deleted, if its condition holds. WATCH sees
// whether another replica, whose breaker is closed, has set a newer value meanwhile: then nothing is done, and the next
// round reads it again.
func (m *Monitor) deleteAgain(ctx context.Context, d Deletion) error {
	err := m.client.Watch(ctx, func(tx *redis.Tx) error {
		fields, err := tx.HMGet(ctx, d.key, m.ExistsField, d.field).Result()
		if err != nil || !d.holds(fields) {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			return p.Process(ctx, d.Command(ctx))
		})
		return err
	}, d.key)
	if errors.Is(err, redis.TxFailedErr) {
		return nil
	}
	m.db.SettleAfter(ctx, err)
	return err
}
