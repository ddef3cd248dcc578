package storetest

import (
	"testing"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

func TestSlot(t *testing.T) {
	// The cluster specification gives 0x31C3 as the CRC of this one.
	if got, want := redisdb.SlotOf("123456789"), 0x31C3%16384; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	b := sharedCluster.backend(t)
	for _, key := range []string{
		"", "foo", "mk:signing-keys", "{user1000}.following", "foo{bar}", "foo{}{bar}", "foo{{bar}}zap", "foo{bar}{zap}",
		"open{brace", "close}brace", "é\x00\xff",
	} {
		if got, want := int64(redisdb.SlotOf(key)), b.Do("CLUSTER", "KEYSLOT", key); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
	}
}
