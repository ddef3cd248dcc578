package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
)

// What stands in the files of a running server is taken; what cannot be used stays as it was, and each setting decides for
// itself.
func TestReread(t *testing.T) {
	const otherKey = "HxwdHhoZGBcWFRQTEhEQDw4NDAsKCQgHBgUEAwIB/+8="
	tests := []struct {
		name                  string
		url, key, token, next string // in the files; empty: as at the start
		wantURL, wantToken    string
		wantNext              string
		wantKeys              int
		mistakes              []string
	}{
		{name: "nothing changed", wantURL: "redis://:p@redis", wantToken: adminToken, wantNext: nextToken, wantKeys: 1},
		{
			name: "all changed", url: "redis://:q@redis", key: otherKey + "," + master, token: nextToken, next: adminToken,
			wantURL: "redis://:q@redis", wantToken: nextToken, wantNext: adminToken, wantKeys: 2,
		},
		{
			name: "one can be used", url: "canary", key: "canary," + master, token: "canary", next: strings.ToUpper(nextToken),
			wantURL: "redis://:p@redis", wantToken: adminToken, wantNext: strings.ToUpper(nextToken), wantKeys: 1,
			mistakes: []string{"MINTKEEP_REDIS_URL", "MINTKEEP_MASTER_KEY", "MINTKEEP_ADMIN_TOKEN"},
		},
		{
			name: "both tokens alike", token: nextToken,
			wantURL: "redis://:p@redis", wantToken: adminToken, wantNext: nextToken, wantKeys: 1, mistakes: []string{"MINTKEEP_ADMIN_TOKEN_NEXT"},
		},
		{
			name: "empty files", url: "\n", key: "\n", token: "\n", next: "\n",
			wantURL: "redis://:p@redis", wantToken: adminToken, wantNext: nextToken, wantKeys: 1,
			mistakes: []string{"MINTKEEP_REDIS_URL", "MINTKEEP_MASTER_KEY", "MINTKEEP_ADMIN_TOKEN", "MINTKEEP_ADMIN_TOKEN_NEXT"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{
				"REDIS_URL": file(t, "url", "redis://:p@redis", 0o600), "MASTER_KEY": file(t, "key", master, 0o600),
				"ADMIN_TOKEN": file(t, "token", adminToken, 0o600), "ADMIN_TOKEN_NEXT": file(t, "next", nextToken, 0o600),
			}
			src := config.Source{Environ: []string{"MINTKEEP_ISSUER=https://auth.example.com"}}
			for name, path := range files {
				src.Environ = append(src.Environ, "MINTKEEP_"+name+"_FILE="+path)
			}
			before, _ := load(t, src)
			for name, content := range map[string]string{"REDIS_URL": tt.url, "MASTER_KEY": tt.key, "ADMIN_TOKEN": tt.token, "ADMIN_TOKEN_NEXT": tt.next} {
				if content == "" {
					continue
				}
				if err := os.WriteFile(files[name], []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, _, err := config.Reread(src, before)
			if got.RedisURL.Reveal() != tt.wantURL || got.AdminToken.Reveal() != tt.wantToken || got.AdminTokenNext.Reveal() != tt.wantNext || len(got.MasterKeys) != tt.wantKeys {
				t.Errorf("got %q, %q, %q and %d keys", got.RedisURL.Reveal(), got.AdminToken.Reveal(), got.AdminTokenNext.Reveal(), len(got.MasterKeys))
			}
			if got.Issuer != before.Issuer {
				t.Errorf("another setting changed: %q", got.Issuer)
			}
			var settings []string
			if err != nil {
				if strings.Contains(err.Error(), "canary") {
					t.Errorf("the message repeats the content: %v", err)
				}
				for _, m := range err.(*config.Error).Mistakes {
					settings = append(settings, m.Setting)
				}
			}
			if d := cmp.Diff(tt.mistakes, settings); d != "" {
				t.Errorf("mistakes (-want +got):\n%s", d)
			}
		})
	}
}

// Without a file nothing is read again: the environment of a process does not change, and what was derived stays.
func TestRereadWithoutFiles(t *testing.T) {
	before, _ := load(t, config.Source{})
	got, _, err := config.Reread(config.Source{}, before)
	if err != nil || got.AdminToken != before.AdminToken || len(got.MasterKeys) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}
