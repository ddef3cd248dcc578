package config_test

import (
	"slices"
	"testing"

	"github.com/mintkeep/mintkeep/config"
)

func TestRevokeDurability(t *testing.T) {
	for text, want := range map[string]config.Durability{
		"": {}, "ack": {}, "fsync": {Fsync: true}, "replicas:1": {Replicas: 1}, "replicas:9": {Replicas: 9},
	} {
		got, _ := load(t, config.Source{Environ: withRedis("MINTKEEP_REVOKE_DURABILITY=" + text)})
		if got.RevokeDurability != want {
			t.Errorf("%q: got %+v, want %+v", text, got.RevokeDurability, want)
		}
		if text != "" && got.RevokeDurability.String() != text {
			t.Errorf("%q is written %q", text, got.RevokeDurability)
		}
	}
	const problem = "MINTKEEP_REVOKE_DURABILITY must be ack, fsync, or replicas:N with N from 1 to 9"
	for _, text := range []string{"replicas", "replicas:", "replicas:0", "replicas:10", "replicas:-1", "replicas: 1", "FSYNC", "always", "none"} {
		got := mistakes(t, config.Source{Environ: withRedis("MINTKEEP_REVOKE_DURABILITY=" + text)})
		if want := []string{problem}; !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"fsync", "replicas:1"} {
		got := mistakes(t, config.Source{Environ: []string{"MINTKEEP_REVOKE_DURABILITY=" + text}})
		want := []string{"MINTKEEP_REVOKE_DURABILITY must be ack while no Redis is configured: the embedded store keeps its data in memory only"}
		if !slices.Equal(got, want) {
			t.Errorf("%q embedded: got %q, want %q", text, got, want)
		}
	}
}
