package redisdb

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want target
		tls  bool
	}{
		{url: "redis://localhost", want: target{addrs: []string{"localhost:6379"}}},
		{url: " redis://localhost/ \n", want: target{addrs: []string{"localhost:6379"}}},
		{url: "REDIS://h:1/3", want: target{addrs: []string{"h:1"}, db: 3}},
		{url: "redis://h?db=4", want: target{addrs: []string{"h:6379"}, db: 4}},
		{url: "redis://:p%40%2Fss@[::1]:7000", want: target{addrs: []string{"[::1]:7000"}, password: "p@/ss"}},
		{url: "redis://mint:keep@10.0.0.1:6379/0", want: target{addrs: []string{"10.0.0.1:6379"}, user: "mint", password: "keep"}},
		{url: "rediss://h", want: target{addrs: []string{"h:6379"}}, tls: true},
		{
			url: "redis+sentinel://u:p@s1,s2:26380/mymaster?db=2&sentinel_username=su&sentinel_password=s%23p",
			want: target{
				kind: sentinel, addrs: []string{"s1:26379", "s2:26380"}, master: "mymaster", db: 2,
				user: "u", password: "p", sentinelUser: "su", sentinelPassword: "s#p",
			},
		},
		{url: "rediss+sentinel://s1/m", want: target{kind: sentinel, addrs: []string{"s1:26379"}, master: "m"}, tls: true},
		{url: "redis+cluster://n1", want: target{kind: cluster, addrs: []string{"n1:6379"}}},
		{url: "redis+cluster://n1:7000,n2:7001/0", want: target{kind: cluster, addrs: []string{"n1:7000", "n2:7001"}}},
		{url: "rediss+cluster://:p@n1,n2", want: target{kind: cluster, addrs: []string{"n1:6379", "n2:6379"}, password: "p"}, tls: true},
	} {
		got, err := parseURL(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if (got.tls != nil) != tt.tls || tt.tls && (got.tls.MinVersion < tls.VersionTLS12 || got.tls.InsecureSkipVerify) {
			t.Errorf("%s: TLS %+v, want %v", tt.url, got.tls, tt.tls)
		}
		got.tls = nil
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(target{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.url, diff)
		}
	}
}

// Each URL has "hunter2" where a password may land by mistake; no error may repeat it.
func TestParseURLErrors(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"hunter2", "must begin with redis://"},
		{"hunter2://h", "must begin with redis://"},
		{"http://:hunter2@h", "must begin with redis://"},
		{"redis:hunter2@h", "must begin with redis://"},
		{"redis://", "must name a host"},
		{"redis://:hunter2@", "must name a host"},
		{"redis://:hunter2@h:x", "must name a host"},
		{"redis://h:hunter2", "must name a host"},
		{"redis://:hunter2@h:70000", "port"},
		{"redis://:hunter2@h:0", "port"},
		{"redis://:hunter2@a,b", "several hosts"},
		{"redis://:hunter2/x@h", "percent-encode"},
		{"redis://:hunter2?x@h", "percent-encode"},
		{"redis://:hunter2#x@h", "percent-encode"},
		{"redis://:%hunter2@h", "percent-encode"},
		{"redis://hunter2@h", ":password@"},
		{"redis://:hunter2@h/hunter2", "database"},
		{"redis://:hunter2@h/-1", "database"},
		{"redis://:hunter2@h?hunter2=1", "unknown"},
		{"redis://:hunter2@h?db=1&db=2", "twice"},
		{"redis://:hunter2@h?ca=/hunter2", "unknown, or not for this kind"},
		{"redis://:hunter2@h?a;b", "query"},
		{"rediss://:hunter2@h?ca=/nowhere/hunter2", "no readable file"},
		{"rediss://:hunter2@h?insecure=true", "unknown"},
		{"redis+sentinel://:hunter2@s1", "master's name"},
		{"redis+sentinel://:hunter2@s1/", "master's name"},
		{"redis+sentinel://:hunter2@s1/m/1", "master's name"},
		{"redis+cluster://:hunter2@n1/1", "only one"},
		{"redis+cluster://:hunter2@n1?db=1", "not for a cluster"},
		{"redis+cluster://:hunter2@n1,,n2", "must name a host"},
	} {
		_, err := Open(Options{URL: tt.url})
		if err == nil {
			t.Errorf("%s: no error", tt.url)
			continue
		}
		msg := err.Error()
		if !strings.HasPrefix(msg, "MINTKEEP_REDIS_URL: ") || !strings.Contains(msg, tt.want) || !strings.Contains(msg, "; for example redis") {
			t.Errorf("%s: got %q, want the setting, %q and an example", tt.url, msg, tt.want)
		}
		if strings.Contains(msg, "hunter2") {
			t.Errorf("%s: quoted in %q", tt.url, msg)
		}
	}
}

func TestParseURLBadCA(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := parseURL("rediss://h?ca=" + file); err == nil || !strings.Contains(err.Error(), "no PEM certificate") {
		t.Errorf("got %v", err)
	}
}

// The error messages' examples must be right.
func TestExamplesParse(t *testing.T) {
	for name, form := range schemes {
		if !strings.HasPrefix(form.example, name+"://") {
			t.Errorf("example of %s is %s", name, form.example)
		}
		if _, err := parseURL(form.example); err != nil {
			t.Errorf("%s: %v", form.example, err)
		}
	}
}

// What a hung Redis can take is decided here, so every kind of client must have got it.
func TestClientOptions(t *testing.T) {
	for _, u := range []string{"redis://h", "redis+sentinel://h/m"} {
		db, err := Open(Options{URL: u})
		if err != nil {
			t.Fatal(err)
		}
		o := db.Client.(*redis.Client).Options()
		if !o.ContextTimeoutEnabled || o.DialTimeout != dialTimeout || o.ReadTimeout != replyTimeout || o.WriteTimeout != replyTimeout ||
			o.PoolTimeout != poolTimeout || o.MaxRetries != 1 || o.DialerRetries != 1 || o.ClientName != "mintkeep" {
			t.Errorf("%s: options are %+v", u, o)
		}
		_ = db.Close()
	}
	db, err := Open(Options{URL: "redis+cluster://one-seed"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, ok := db.Client.(*redis.ClusterClient)
	if !ok {
		t.Fatalf("one seed gave a %T", db.Client)
	}
	o := c.Options()
	if !o.ContextTimeoutEnabled || o.DialTimeout != dialTimeout || o.ReadTimeout != replyTimeout || o.PoolTimeout != poolTimeout ||
		o.DialerRetries != 1 || o.MaxRedirects != 2 || o.ClientName != "mintkeep" {
		t.Errorf("options are %+v", o)
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("redis://user:password@h:6379/0?db=1")
	f.Add("rediss+sentinel://:p@s1,[::1]:2/m?sentinel_password=x")
	f.Add("redis+cluster://a,b:1")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseURL(raw)
		if err != nil {
			return
		}
		if len(got.addrs) == 0 || got.kind == standalone && len(got.addrs) != 1 || (got.kind == sentinel) != (got.master != "") {
			t.Errorf("%q is accepted as %+v", raw, got)
		}
	})
}
