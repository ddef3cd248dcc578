package rollback

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Deletion is one DEL or HDEL by which a revocation takes effect. Redis applies it even when it is out of memory, and
// it may be sent again. A restriction is the same for a part of a value: see [OfValue].
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

	// restrict makes it a restriction: the value of a string is replaced by one that is worth less. It is its own condition.
	restrict Restriction
}

// Restriction says what is to become of the value of a string that has come back. Not undone: it stays. An empty value: the
// key is deleted. It is called again with what it returned, and must leave that alone.
type Restriction func(value string) (restricted string, undone bool)

// OfKey is the deletion of a key.
func OfKey(key string) Deletion { return Deletion{key: key} }

// OfFields is the deletion of fields of a hash.
func OfFields(key string, fields ...string) Deletion { return Deletion{key: key, fields: fields} }

// OfValue is the restriction of the value of a string.
func OfValue(key string, restrict Restriction) Deletion {
	return Deletion{key: key, restrict: restrict}
}

// While gives the deletion a condition. An empty value means that the field was absent. Of a restriction it is only the name by
// which [Monitor.Forget] knows it.
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
	value   *redis.StringCmd // of a restriction
}

func (m *Monitor) newReplay(ctx context.Context, p redis.Pipeliner, e Entry) replay {
	switch {
	case e.restrict != nil:
		return replay{Entry: e, value: p.Get(ctx, e.key)}
	case e.field != "":
		return replay{Entry: e, read: p.HMGet(ctx, e.key, m.ExistsField, e.field)}
	}
	r := replay{Entry: e, deleted: e.Command(ctx)}
	_ = p.Process(ctx, r.deleted)
	return r
}

// gone is whether nothing is left to delete: the deletion was sent again, or its condition does not hold.
func (r replay) gone() (bool, error) {
	switch {
	case r.deleted != nil:
		return true, r.deleted.Err()
	case r.value != nil:
		_, undone, err := r.restricted(r.value)
		return !undone, err
	}
	return !r.holds(r.read.Val()), r.read.Err()
}

// restricted is what becomes of a value as it was read.
func (d Deletion) restricted(read *redis.StringCmd) (value string, undone bool, err error) {
	value, err = read.Result()
	if err != nil { // there is nothing to restrict, or it is not known
		return "", false, redisdb.Failure(err)
	}
	value, undone = d.restrict(value)
	return value, undone, nil
}

// deleteAgain deletes what a rollback has brought back, or what was never deleted, if its condition holds. WATCH sees
// whether another replica, whose breaker is closed, has set a newer value meanwhile: then nothing is done, and the next
// round reads it again.
func (m *Monitor) deleteAgain(ctx context.Context, d Deletion) error {
	err := m.client.Watch(ctx, func(tx *redis.Tx) error {
		if d.restrict != nil {
			return d.restrictAgain(ctx, tx)
		}
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

// restrictAgain restricts a value that a rollback has brought back. A Redis that is out of memory rejects it, as every
// transaction: the breaker does not close until there is memory.
func (d Deletion) restrictAgain(ctx context.Context, tx *redis.Tx) error {
	value, undone, err := d.restricted(tx.Get(ctx, d.key))
	if err != nil || !undone {
		return err
	}
	_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		if value == "" {
			return p.Process(ctx, d.Command(ctx))
		}
		return p.Set(ctx, d.key, value, redis.KeepTTL).Err()
	})
	return err
}
