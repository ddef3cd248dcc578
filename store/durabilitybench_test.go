package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// BenchmarkRevoke revokes active tokens one after another, and reports the median in each mode.
func BenchmarkRevoke(b *testing.B) {
	for _, mode := range []struct {
		name       string
		args       []string
		replica    bool
		durability config.Durability
	}{
		{"ack", []string{"--appendonly", "yes", "--appendfsync", "everysec"}, false, config.Durability{}},
		{"fsync", []string{"--appendonly", "yes", "--appendfsync", "always"}, false, config.Durability{Fsync: true}},
		{"replicas:1", []string{"--appendonly", "yes", "--appendfsync", "everysec"}, true, config.Durability{Replicas: 1}},
	} {
		b.Run(mode.name, func(b *testing.B) {
			server := storetest.Redis(b, mode.args...)
			if mode.replica {
				storetest.Replica(b, server.Addr())
				server.AwaitReplicas(1)
			}
			s := server.Backend(b).Open(b, func(o *store.Options) { o.Durability = mode.durability })
			live := store.Credential{Generation: store.NewGeneration()}
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				d := store.DigestOf(fmt.Sprint(i))
				if err := s.SaveToken(b.Context(), d, live, time.Now().Add(time.Hour), nil); err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				if err := s.RevokeToken(b.Context(), d, store.Cause{}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
