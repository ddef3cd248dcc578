package config_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
)

func TestParseRedisURL(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want config.Redis
		tls  bool
	}{
		{url: "redis://localhost", want: config.Redis{Addrs: []string{"localhost:6379"}}},
		{url: " redis://localhost/ \n", want: config.Redis{Addrs: []string{"localhost:6379"}}},
		{url: "REDIS://h:1/3", want: config.Redis{Addrs: []string{"h:1"}, DB: 3}},
		{url: "redis://h?db=4", want: config.Redis{Addrs: []string{"h:6379"}, DB: 4}},
		{url: "redis://:p%40%2Fss@[::1]:7000", want: config.Redis{Addrs: []string{"[::1]:7000"}, Password: "p@/ss"}},
		{url: "redis://mint:keep@10.0.0.1:6379/0", want: config.Redis{Addrs: []string{"10.0.0.1:6379"}, User: "mint", Password: "keep"}},
		{url: "rediss://h", want: config.Redis{Addrs: []string{"h:6379"}}, tls: true},
		{
			url: "redis+sentinel://u:p@s1,s2:26380/mymaster?db=2&sentinel_username=su&sentinel_password=s%23p",
			want: config.Redis{
				Kind: config.Sentinel, Addrs: []string{"s1:26379", "s2:26380"}, Master: "mymaster", DB: 2,
				User: "u", Password: "p", SentinelUser: "su", SentinelPassword: "s#p",
			},
		},
		{url: "rediss+sentinel://s1/m", want: config.Redis{Kind: config.Sentinel, Addrs: []string{"s1:26379"}, Master: "m"}, tls: true},
		{url: "redis+cluster://n1", want: config.Redis{Kind: config.Cluster, Addrs: []string{"n1:6379"}}},
		{url: "redis+cluster://n1:7000,n2:7001/0", want: config.Redis{Kind: config.Cluster, Addrs: []string{"n1:7000", "n2:7001"}}},
		{url: "rediss+cluster://:p@n1,n2", want: config.Redis{Kind: config.Cluster, Addrs: []string{"n1:6379", "n2:6379"}, Password: "p"}, tls: true},
	} {
		got, err := config.ParseRedisURL(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if (got.TLS != nil) != tt.tls || tt.tls && (got.TLS.MinVersion < tls.VersionTLS12 || got.TLS.InsecureSkipVerify) {
			t.Errorf("%s: TLS %+v, want %v", tt.url, got.TLS, tt.tls)
		}
		got.TLS = nil
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.url, diff)
		}
	}
}

// Each URL has "hunter2" where a password may land by mistake; no error may repeat it.
func TestParseRedisURLErrors(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"hunter2", "must begin with redis://"},
		{"hunter2://h", "must begin with redis://"},
		{"http://:hunter2@h", "must begin with redis://"},
		{"redis:hunter2@h", "must begin with redis://"},
		{"redis://", "must contain a host"},
		{"redis://:hunter2@", "must contain a host"},
		{"redis://:hunter2@h:x", "must contain a host"},
		{"redis://h:hunter2", "must contain a host"},
		{"redis://:hunter2@h:70000", "port"},
		{"redis://:hunter2@h:0", "port"},
		{"redis://:hunter2@a,b", "several hosts"},
		{"redis://:hunter2/x@h", "must contain a host"},
		{"redis://:hunter2?x@h", "percent-encode"},
		{"redis://:hunter2#x@h", "percent-encode"},
		{"redis://:%hunter2@h", "percent-encode"},
		{"redis://hunter2@h", ":password@"},
		{"redis://:hunter2@h/hunter2", "database"},
		{"redis://:hunter2@h/-1", "database"},
		{"redis://:hunter2@h?hunter2=1", "unknown"},
		{"redis://:hunter2@h?db=1&db=2", "twice"},
		{"redis://:hunter2@h?ca=/hunter2", "unknown option"},
		{"redis://:hunter2@h?a;b", "query"},
		{"rediss://:hunter2@h?ca=/nowhere/hunter2", "cannot be read"},
		{"rediss://:hunter2@h?insecure=true", "unknown"},
		{"redis+sentinel://:hunter2@s1", "name of the master"},
		{"redis+sentinel://:hunter2@s1/", "name of the master"},
		{"redis+sentinel://:hunter2@s1/m/1", "one name"},
		{"redis+cluster://:hunter2@n1/1", "only one"},
		{"redis+cluster://:hunter2@n1?db=1", "not for a cluster"},
		{"redis+cluster://:hunter2@n1,,n2", "must contain a host"},
	} {
		_, err := config.ParseRedisURL(tt.url)
		if err == nil {
			t.Errorf("%s: no error", tt.url)
			continue
		}
		msg := err.Error()
		if !strings.Contains(msg, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.url, msg, tt.want)
		}
		if strings.Contains(msg, "hunter2") {
			t.Errorf("%s: quoted in %q", tt.url, msg)
		}
	}
}

func TestParseRedisURLBadCA(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ParseRedisURL("rediss://h?ca=" + file); err == nil || !strings.Contains(err.Error(), "no PEM certificate") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseRedisURL(f *testing.F) {
	f.Add("redis://user:password@h:6379/0?db=1")
	f.Add("rediss+sentinel://:p@s1,[::1]:2/m?sentinel_password=x")
	f.Add("redis+cluster://a,b:1")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := config.ParseRedisURL(raw)
		if err != nil {
			return
		}
		if len(got.Addrs) == 0 || got.Kind == config.Standalone && len(got.Addrs) != 1 || (got.Kind == config.Sentinel) != (got.Master != "") {
			t.Errorf("%q is accepted as %+v", raw, got)
		}
	})
}
