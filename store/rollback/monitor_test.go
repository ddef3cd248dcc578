package rollback

import (
	"testing"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Each part of a cluster has an epoch key in its own sixteenth of the slots.
func TestEachPartHasAnEpochKey(t *testing.T) {
	keys := partKeys("mk:epoch")
	if len(keys) != 16 {
		t.Errorf("%d epoch keys, want 16", len(keys))
	}
	for i, key := range keys {
		if slot := redisdb.SlotOf(key); slot < i*1024 || slot >= (i+1)*1024 {
			t.Errorf("%s is in slot %d, want it in the sixteenth number %d", key, slot, i)
		}
	}
}
