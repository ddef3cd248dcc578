package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Records on healthy nodes are answered, however many requests wait for one that hangs.
func TestHungNodeDelaysNoOtherNode(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	t.Parallel()
	nodes := storetest.SixNodes(t)
	s := nodes.Masters[0].Backend(t).Open(t, func(o *store.Options) { o.URL = nodes.URL() })
	var on [3]string // a client on each master
	for i := 0; on[0] == "" || on[1] == "" || on[2] == ""; i++ {
		id := fmt.Sprint("c", i)
		on[redisdb.SlotOf("mk:c:"+id)*3/(1<<14)] = id
	}
	for _, id := range on {
		create(t, s, id)
	}

	nodes.Masters[2].Freeze()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for ctx.Err() == nil {
				long, cancel := context.WithTimeout(ctx, time.Minute)
				_, _ = s.Client(long, on[2])
				cancel()
			}
		})
	}
	for range 100 {
		for _, id := range on[:2] {
			if _, err := s.Client(hurry(t), id); err != nil {
				t.Errorf("%s, on a node that is well: %v", id, err)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	nodes.Masters[2].Thaw()
	wg.Wait()
}
