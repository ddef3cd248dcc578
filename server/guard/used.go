package guard

import (
	"encoding/json"
	"sync"
)

const (
	maxUsed    = 4_096 // API keys whose uses wait to be reported
	usedAtOnce = 256
	// listed is a bit of verdict.uses: the key is in the list of those that wait. The other bits are its uses.
	listed uint32 = 1 << 31
	// maxUses is how many uses of one key Mintkeep takes at once.
	maxUses = 10_000_000
)

// used are the uses of API keys that Mintkeep was not told of yet: its last use and its statistics stay right. It counts a use itself
// when it is asked.
type used struct {
	mu   sync.Mutex
	keys []*verdict
}

// note counts a use that Mintkeep was not asked about.
func (u *used) note(v *verdict) {
	if v.credential.Type == "api_key" {
		u.add(v, 1)
	}
}

// add counts uses, and lists the key unless too many wait: then it is listed at a later use.
func (u *used) add(v *verdict, uses uint32) {
	if v.uses.Add(uses)&listed != 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if v.uses.Load()&listed == 0 && len(u.keys) < maxUsed {
		u.keys = append(u.keys, v)
		v.uses.Or(listed)
	}
}

// again takes back uses that Mintkeep has not heard of.
func (u *used) again(keys []usedKey) {
	for _, k := range keys {
		u.add(k.of, k.uses)
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
func (u *used) take() []usedKey {
	u.mu.Lock()
	n := min(len(u.keys), usedAtOnce)
	some := u.keys[:n]
	u.keys = append([]*verdict(nil), u.keys[n:]...)
	u.mu.Unlock()
	keys := make([]usedKey, 0, n)
	for _, v := range some {
		uses := v.uses.Swap(0) &^ listed
		if uses > maxUses {
			u.add(v, uses-maxUses)
			uses = maxUses
		}
		if v.credential.ID != "" && uses > 0 {
			keys = append(keys, usedKey{v, uses})
		}
	}
	return keys
}
