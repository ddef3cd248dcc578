package guard

import (
	"encoding/json"
	"sync"
)

const (
	maxUsed    = 4_096 // API keys whose uses wait to be reported
	usedAtOnce = 256
)

// used are the uses of API keys that Mintkeep was not told of yet: its last use and its statistics stay right.
type used struct {
	mu   sync.Mutex
	keys []*verdict
}

// note counts a use.
func (u *used) note(v *verdict) {
	if v.credential.Type != "api_key" || v.uses.Add(1) != 1 {
		return
	}
	u.mu.Lock()
	if len(u.keys) < maxUsed {
		u.keys = append(u.keys, v)
	}
	u.mu.Unlock()
}

// again takes back uses that Mintkeep has not heard of.
func (u *used) again(keys []usedKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, k := range keys {
		if k.of.uses.Add(k.uses) == k.uses && len(u.keys) < maxUsed {
			u.keys = append(u.keys, k.of)
		}
	}
}

// usedKey is [id, uses, seconds ago].
type usedKey struct {
	of   *verdict
	uses uint32
}

// MarshalJSON is the array.
func (k usedKey) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{k.of.credential.ID, k.uses, 0})
}

// take are some of the uses, which are reported now.
func (u *used) take(instant) []usedKey {
	u.mu.Lock()
	n := min(len(u.keys), usedAtOnce)
	some := u.keys[:n]
	u.keys = append([]*verdict(nil), u.keys[n:]...)
	u.mu.Unlock()
	keys := make([]usedKey, 0, n)
	for _, v := range some {
		if uses := v.uses.Swap(0); v.credential.ID != "" && uses > 0 {
			keys = append(keys, usedKey{v, uses})
		}
	}
	return keys
}
