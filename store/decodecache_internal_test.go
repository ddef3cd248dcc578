package store

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// A record of a key that was decoded before is what was read, without the changes of an earlier caller.
func TestDecodedKeyIsUnchanged(t *testing.T) {
	var d decoded
	read := func(of *Credential) *Credential {
		t.Helper()
		cmd := redis.NewStringResult(string(encodeKeyRecord(of)), nil)
		c, err := d.credential(cmd)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	key := Credential{Generation: NewGeneration(), Key: &KeyRecord{ID: "key_a", UserID: "usr_a", Scope: "read write", Operator: NewGeneration()}}
	first := read(&key)
	first.Key.Scope, first.Key.Operator = "all", Generation{}
	if again := read(&key); again.Key.Scope != "read write" || again.Key.Operator != key.Key.Operator || again.Generation != key.Generation {
		t.Errorf("read again: %+v %+v", again, again.Key)
	}
	key.Generation, key.Key.Operator = NewGeneration(), NewGeneration() // the same description under another owner's generation
	if other := read(&key); other.Key.Operator != key.Key.Operator || other.Generation != key.Generation {
		t.Errorf("another record: %+v %+v", other, other.Key)
	}
	if _, err := d.credential(redis.NewStringResult(string(encodeKeyRecord(&key))[:40], nil)); err == nil {
		t.Error("a record that breaks off is read")
	}
}
