package redisdb

import "testing"

func TestSlotOf(t *testing.T) {
	for key, want := range map[string]int{
		"123456789":           0x31C3, // the example of the specification
		"{123456789}.x":       0x31C3,
		"x{123456789}{other}": 0x31C3,
	} {
		if got := SlotOf(key); got != want {
			t.Errorf("%s: slot %#x, want %#x", key, got, want)
		}
	}
	if SlotOf("{}x") == SlotOf("{}y") {
		t.Error("empty braces count as the key")
	}
}
