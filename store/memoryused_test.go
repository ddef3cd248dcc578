package store_test

import (
	"testing"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// The fullest primary counts; without maxmemory there is nothing to say.
func TestMemoryUsed(t *testing.T) {
	for name, tt := range map[string]struct {
		b     *storetest.Backend
		known bool
	}{
		"embedded":          {storetest.Embedded(t), false},
		"without maxmemory": {storetest.Redis(t).Backend(t), false},
		"with maxmemory":    {storetest.Redis(t, "--maxmemory", "1gb").Backend(t), true},
	} {
		ratio, known, err := tt.b.Open(t).MemoryUsed(t.Context())
		if err != nil || known != tt.known || known && (ratio <= 0 || ratio > 0.5) {
			t.Errorf("%s: got %v, %v, %v", name, ratio, known, err)
		}
	}
}
