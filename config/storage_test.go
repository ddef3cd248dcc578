package config_test

import (
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/config"
)

// Storage wants where and under which key, heeds how durably, and looks at no other setting.
func TestStorage(t *testing.T) {
	const (
		url    = "MINTKEEP_REDIS_URL=redis://localhost:6379/0"
		key    = "MINTKEEP_MASTER_KEY=MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="
		lasts  = "MINTKEEP_REVOKE_DURABILITY=replicas:2"
		canary = "MINTKEEP_TOKEN_TTL=canary"
	)
	c, warnings, err := config.Storage(config.Source{Environ: []string{url, key, lasts, canary}})
	if err != nil || len(warnings) > 0 || c.RedisURL.Reveal() != "redis://localhost:6379/0" || len(c.MasterKeys) != 1 || c.RevokeDurability.Replicas != 2 {
		t.Errorf("got %v, %q, %v", c, warnings, err)
	}
	for name, test := range map[string]struct {
		environ []string
		want    string
	}{
		"embedded":      {[]string{key}, "MINTKEEP_REDIS_URL is required: without Redis, a server keeps its data in its own memory, which this command cannot reach; example:"},
		"no master key": {[]string{url}, "MINTKEEP_MASTER_KEY is required with Redis; example:"},
		"both wrong":    {[]string{"MINTKEEP_REDIS_URL=http://canary", "MINTKEEP_MASTER_KEY=canary"}, "2 errors"},
	} {
		_, _, err := config.Storage(config.Source{Environ: append(test.environ, canary)})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}
