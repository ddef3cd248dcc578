package config_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
)

const (
	badScope          = "must be space-separated scope tokens (RFC 6749 section 3.3)"
	badDescribedScope = "must be scope tokens (RFC 6749 section 3.3) with descriptions, such as read=Read orders;write=Write orders"
)

const badAllow = "must be networks, addresses and host names, separated by commas, without scheme and port"

// numbered is n words, a space between two: s1 s2 s3.
func numbered(word string, n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprint(word, i+1)
	}
	return strings.Join(words, " ")
}

func TestMistakes(t *testing.T) {
	tests := []struct{ setting, value, want string }{
		{"ADDR", "8080", "must be host:port or :port"},
		{"ADDR", "localhost:http", "must end with a port from 0 to 65535"},
		{"ADDR", "localhost:65536", "must end with a port from 0 to 65535"},
		{"ADDR", "a b:80", "must begin with a host name or an address, or with the colon"},
		{"ISSUER", "auth.example.com", "must be an absolute http or https URL"},
		{"ISSUER", "ftp://auth.example.com", "must be an absolute http or https URL"},
		{"ISSUER", "https://", "must be an absolute http or https URL"},
		{"ISSUER", "https:auth.example.com", "must be an absolute http or https URL"},
		{"ISSUER", "https://auth.example.com/oauth", "must have no path"},
		{"ISSUER", "https://auth.example.com//", "must have no path"},
		{"ISSUER", "https://auth.example.com?", "must have no query and no fragment"},
		{"ISSUER", "https://auth.example.com#", "must have no query and no fragment"},
		{"ISSUER", "https://u:canary@auth.example.com", "must have no user name or password"},
		{"ISSUER", "https://münze.example", "must have a host name or an address in ASCII"},
		{"ISSUER", "https://[fe80::1%25eth0]", "must have a host name or an address in ASCII"},
		{"ISSUER", "https://auth.example.com:0", "must have a port from 1 to 65535, or none"},
		{"ISSUER", "https://auth.example.com:99999", "must have a port from 1 to 65535, or none"},
		{"REDIS_URL", "localhost:6379", "must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://"},
		{"REDIS_URL", "http://localhost", "must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://"},
		{"REDIS_URL", "redis://", "must contain a host; in the password, write / as %2F, ? as %3F and @ as %40"},
		{"REDIS_URL", "redis://:can/ary@localhost", "must contain a host; in the password, write / as %2F, ? as %3F and @ as %40"},
		{"REDIS_URL", "redis+cluster://h1,,h2", "must contain a host; in the password, write / as %2F, ? as %3F and @ as %40"},
		{"REDIS_URL", "redis+sentinel://h1,h2", "must end with the name of the master, as in redis+sentinel://h1,h2/master"},
		{"MASTER_KEY", "canary", "must be 32 bytes in base64, but key 1 of 1 is not"},
		{"MASTER_KEY", master + ",canary", "must be 32 bytes in base64, but key 2 of 2 is not"},
		{"MASTER_KEY", strings.Repeat("A", 43) + "=", "must be random, but key 1 of 1 is not"},
		{"ADMIN_TOKEN", "canary", "must have at least 32 characters"},
		{"ADMIN_TOKEN", adminToken + " canary", "must be printable ASCII characters without spaces"},
		{"ADMIN_TOKEN", adminToken + "ä", "must be printable ASCII characters without spaces"},
		{"ADMIN_TOKEN", strings.Repeat("a", 40), "must be random, but is not"},
		{"ADMIN_TOKEN", strings.Repeat("canaryxyz", 4), "must be random, but is not"},
		{"ADMIN_TOKEN_NEXT", adminToken, "is set without MINTKEEP_ADMIN_TOKEN: set MINTKEEP_ADMIN_TOKEN; this second token is only for replacing it"},
		{"ADMIN_TOKEN_NEXT", "canary", "must have at least 32 characters"},
		{"TOKEN_TTL", "3600", "is not a duration such as 1h30m or 90s"},
		{"TOKEN_TTL", "1d", "is not a duration such as 1h30m or 90s"},
		{"TOKEN_TTL", "0", "must be longer than 0s"},
		{"TOKEN_TTL", "-1h", "must be longer than 0s"},
		{"TOKEN_TTL", "1500ms", "must be a whole number of seconds"},
		{"TOKEN_TTL", "25h", "is out of range: MINTKEEP_TOKEN_TTL must not be longer than MINTKEEP_TOKEN_TTL_MAX"},
		{"TOKEN_TTL_MAX", "30m", "is out of range: MINTKEEP_TOKEN_TTL must not be longer than MINTKEEP_TOKEN_TTL_MAX"},
		{"SIGNING_ALG", "HS256", "must be ES256, EdDSA or RS256"},
		{"SIGNING_ALG", "none", "must be ES256, EdDSA or RS256"},
		{"SIGNING_ROTATION", "59m", "must be at least 1h, or 0 for manual rotation only"},
		{"SIGNING_ROTATION", "-2h", "must be at least 1h, or 0 for manual rotation only"},
		{"AUDIENCE", "api", "must be an absolute URI"},
		{"AUDIENCE", "https://", "must be an absolute URI"},
		{"AUDIENCE", "https://api.example/a b", "must be an absolute URI"},
		{"AUDIENCE", "https://api.example/#", "must have no fragment"},
		{"KEY_SCOPES", " read", badScope},
		{"KEY_SCOPES", "read  write", badScope},
		{"KEY_SCOPES", "read,\twrite", badScope},
		{"KEY_SCOPES", `read "write"`, badScope},
		{"KEY_SCOPES", "lesen schreiben lösen", badScope},
		{"KEY_SCOPES", "read mintkeep:keys", "must not contain a mintkeep: scope, such as mintkeep:keys"},
		{"KEY_SCOPES", "read write read", "must not contain a scope twice"},
		{"KEY_SCOPES", numbered("s", 51), "must have at most 50 scopes"},
		{"KEY_SCOPES", "read=Read orders;", badDescribedScope},
		{"KEY_SCOPES", "read=Read orders;write orders=Write orders", badDescribedScope},
		{"KEY_SCOPES", "=Read orders", badDescribedScope},
		{"KEY_SCOPES", "read=Read;read=Read again", "must not contain a scope twice"},
		{"KEY_SCOPES", "read=" + strings.Repeat("x", 101), "must have descriptions of at most 100 printable characters"},
		{"KEY_SCOPES", "read=\u202e", "must have descriptions of at most 100 printable characters"},
		{
			"KEY_SCOPES", "=;mintkeep:keys=\x01;read=;read=",
			badDescribedScope + ", and must not contain a mintkeep: scope, such as mintkeep:keys, " +
				"and must have descriptions of at most 100 printable characters, and must not contain a scope twice",
		},
		{"INTROSPECT_OWNER", "name", "must be off or email"},
		{"KEY_CREATE_RATE", "60/d", "must be a number from 1 to 1000000 and a window of s, m or h, such as 600/m"},
		{"KEY_PREFIX", "m", "must be a lower-case letter and one to seven lower-case letters or digits"},
		{"KEY_PREFIX", "MK", "must be a lower-case letter and one to seven lower-case letters or digits"},
		{"KEY_PREFIX", "mk_", "must be a lower-case letter and one to seven lower-case letters or digits"},
		{"TRUSTED_PROXIES", "10.0.0.0/33", "must be networks and addresses, separated by commas"},
		{"TRUSTED_PROXIES", "10.0.0.1,,10.0.0.2", "must be networks and addresses, separated by commas"},
		{"TRUSTED_PROXIES", "proxy.example", "must be networks and addresses, separated by commas"},
		{"TRUSTED_PROXIES", "10.0.0.1,::ffff:127.0.0.0/90", "has an IPv4-mapped network that is larger than ::ffff:0.0.0.0/96: write it as IPv4 or as IPv6"},
		{"ASSERTION_AUDIENCE", "token_endpoint", "must be issuer or issuer,token_endpoint"},
		{"ASSERTION_AUDIENCE", "issuer,https://canary.example", "must be issuer or issuer,token_endpoint"},
		{"METADATA_COMPAT", "off", "must be true or false"},
		{"FEED", "true", "must be on or off"},
		{"FEED_WAITING", "0", "must be a number from 1 to 1000000"},
		{"AUDIT_LOG", "on", "must be off, stdout or the path of a file"},
		{"AUDIT_LOG", "https://log.example/audit", "must be off, stdout or the path of a file"},
		{"FEED_WAITING", "many", "must be a number from 1 to 1000000"},
		{"FETCH_ALLOW", "10.0.0.0/33", badAllow},
		{"FETCH_ALLOW", "10.0.0.0/8,,keys.example", badAllow},
		{"FETCH_ALLOW", "https://keys.example", badAllow},
		{"FETCH_ALLOW", "keys.example:8443", badAllow},
		{"FETCH_ALLOW", "*.example", badAllow},
		{"FETCH_ALLOW", "127.1", badAllow},
		{"FETCH_ALLOW", "fe80::1%eth0", badAllow},
		{"FETCH_ALLOW", "::ffff:127.0.0.0/90", "has an IPv4-mapped network that is larger than ::ffff:0.0.0.0/96: write it as IPv4 or as IPv6"},
		{"FETCH_CA", "/nowhere/ca.pem", "cannot be used: /nowhere/ca.pem: no such file"},
		{"FETCH_CA", os.DevNull, "cannot be used: " + os.DevNull + ": no certificate in PEM"},
		{"FETCH_PROXY", "proxy.example:3128", "must be an absolute http or https URL"},
		{"FETCH_PROXY", "https://proxy.example:3128", "must begin with http://: https through it stays encrypted from end to end"},
		{"FETCH_PROXY", "http://u:canary@proxy.example:3128", "must have no user name or password"},
		{"FETCH_PROXY", "http://proxy.example:3128/x", "must have no path"},
		{"PPROF", "yes", "must be true or false"},
		{"METRICS_ADDR", "off", "must be host:port or :port"},
		{"LOG_LEVEL", "verbose", "must be debug, info, warn or error"},
		{"LOG_FORMAT", "xml", "must be text or json"},
	}
	for _, tt := range tests {
		t.Run(tt.setting+"="+tt.value, func(t *testing.T) {
			environ := slices.DeleteFunc(withRedis(), func(e string) bool { return strings.HasPrefix(e, "MINTKEEP_"+tt.setting+"=") })
			src := config.Source{Environ: append(environ, "MINTKEEP_"+tt.setting+"="+tt.value)}
			got, want := mistakes(t, src), []string{"MINTKEEP_" + tt.setting + " " + tt.want}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("mistakes (-want +got):\n%s", d)
			}
			if _, _, err := config.Load(src); strings.Contains(err.Error(), "canary") {
				t.Errorf("the message repeats the value: %v", err)
			}
		})
	}
}

func TestProfilesOnLoopbackOnly(t *testing.T) {
	for addr, want := range map[string]bool{":9464": false, "0.0.0.0:9464": false, "": false, "127.0.0.1:9464": true, "localhost:9464": true} {
		_, _, err := config.Load(config.Source{Environ: withRedis("MINTKEEP_PPROF=true", "MINTKEEP_METRICS_ADDR="+addr)})
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "MINTKEEP_PPROF needs a loopback address in MINTKEEP_METRICS_ADDR") {
			t.Errorf("profiles at %q: %v", addr, err)
		}
	}
}

func TestAdminListenerMistakes(t *testing.T) {
	tests := []struct {
		environ []string
		want    string // empty: none
	}{
		{[]string{"MINTKEEP_ADMIN_ADDR=127.0.0.1:8081"}, ""},
		{[]string{"MINTKEEP_ADMIN_ADDR=:8081", "MINTKEEP_ADMIN_URL=https://admin.internal.example"}, ""},
		{[]string{"MINTKEEP_ADMIN_ADDR=:8081"}, "MINTKEEP_ADMIN_URL is required with a MINTKEEP_ADMIN_ADDR that is not a loopback address"},
		{[]string{"MINTKEEP_ADMIN_URL=https://admin.internal.example"}, "MINTKEEP_ADMIN_URL is set without MINTKEEP_ADMIN_ADDR: set the address to listen at, or remove it"},
		{[]string{"MINTKEEP_ADMIN_ADDR=8081"}, "MINTKEEP_ADMIN_ADDR must be host:port or :port"},
		{[]string{"MINTKEEP_ADMIN_ADDR=127.0.0.1:8081", "MINTKEEP_ADMIN_URL=https://admin.internal.example/x"}, "MINTKEEP_ADMIN_URL must have no path"},
		{
			[]string{"MINTKEEP_ADDR=127.0.0.1:8080", "MINTKEEP_ADMIN_ADDR=127.0.0.1:8080"},
			"MINTKEEP_ADMIN_ADDR must differ from MINTKEEP_ADDR",
		},
		{
			[]string{"MINTKEEP_ADMIN_ADDR=127.0.0.1:8081", "MINTKEEP_ADMIN_URL=https://auth.example.com"},
			"MINTKEEP_ADMIN_URL must differ from MINTKEEP_ISSUER: it is the origin of another listener",
		},
	}
	for _, tt := range tests {
		_, _, err := config.Load(config.Source{Environ: withRedis(tt.environ...)})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %q", tt.environ, err, tt.want)
		}
	}
}

func TestEveryMistakeAtOnce(t *testing.T) {
	got := mistakes(t, config.Source{
		Environ: []string{
			"MINTKEEP_REDIS_URL=mysql://db", "MINTKEEP_LOG_LEVEL=loud", "MINTKEEP_TOKEN_TTL=1d", "MINTKEEP_TLS_CERT=/cert",
		},
		Flags: map[string]string{"addr": "nowhere"},
	})
	want := []string{
		"MINTKEEP_ADDR (--addr) must be host:port or :port",
		"MINTKEEP_ISSUER is required with Redis",
		"MINTKEEP_REDIS_URL must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://",
		"MINTKEEP_MASTER_KEY is required with Redis",
		"MINTKEEP_TOKEN_TTL is not a duration such as 1h30m or 90s",
		"MINTKEEP_TLS_KEY is missing: MINTKEEP_TLS_CERT is set",
		"MINTKEEP_LOG_LEVEL must be debug, info, warn or error",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mistakes (-want +got):\n%s", d)
	}
}

func TestSecretsNeverComeByFlag(t *testing.T) {
	got := mistakes(t, config.Source{Flags: map[string]string{
		"admin-token": adminToken, "master-key": master, "redis-url": "redis://:canary@localhost:6379",
	}})
	want := []string{
		"MINTKEEP_REDIS_URL (--redis-url) contains a password, which must not be on the command line: set the variable, or write the path of a file to MINTKEEP_REDIS_URL_FILE",
		"MINTKEEP_MASTER_KEY (--master-key) is a secret and cannot be a flag: set the variable, or write the path of a file to MINTKEEP_MASTER_KEY_FILE",
		"MINTKEEP_ADMIN_TOKEN (--admin-token) is a secret and cannot be a flag: set the variable, or write the path of a file to MINTKEEP_ADMIN_TOKEN_FILE",
	}
	want = append([]string{"MINTKEEP_ISSUER is required with Redis"}, want...)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mistakes (-want +got):\n%s", d)
	}
}

func TestRedisFlag(t *testing.T) {
	tests := map[string]bool{
		"redis://localhost:6379/1":                 true,
		"redis://user@localhost":                   false, // a user takes a password
		"redis+cluster://h1:1,h2:2":                true,
		"redis://:canary@localhost":                false,
		"redis://u:can?ary@localhost":              false,
		"redis://u:can@ary@localhost":              false,
		"u:canary@localhost":                       false,
		"redis://localhost?password=canary":        false,
		"redis+sentinel://h/m?sentinel_password=x": false,
	}
	for url, allowed := range tests {
		_, _, err := config.Load(config.Source{
			Environ: []string{"MINTKEEP_ISSUER=https://a.example", "MINTKEEP_MASTER_KEY=" + master},
			Flags:   map[string]string{"redis-url": url},
		})
		if got := err == nil; got != allowed {
			t.Errorf("--redis-url %s: got %v, want allowed %v", url, err, allowed)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the message repeats the password: %v", err)
		}
	}
}

// A secret may stand in any variable, by accident. No message may show it.
func TestMessagesRepeatNoValue(t *testing.T) {
	for _, canary := range []string{
		"Canary5c0b8f2d9e17a64830cb5f9d2e71a648",
		"redis://:Canary5c0b8f2d9e17@localhost",
		"-----BEGIN PRIVATE KEY-----\nCanary5c0b8f2d9e17\n",
		"Canary/5c0b8f2d9e17a64830cb5f9d2e71a648+w=",
	} {
		for _, s := range config.Settings() {
			for _, name := range []string{s.Name, s.File()} {
				_, warnings, err := config.Load(config.Source{Environ: []string{name + "=" + canary}})
				said := strings.Join(warnings, "\n")
				if err != nil {
					said += err.Error()
				}
				if strings.Contains(said, "Canary") {
					t.Errorf("%s=%s is repeated:\n%s", name, canary, said)
				}
			}
		}
	}
}

// Two admin tokens that are equal are a change that was not made.
func TestEqualAdminTokens(t *testing.T) {
	got := mistakes(t, config.Source{Environ: withRedis("MINTKEEP_ADMIN_TOKEN="+adminToken, "MINTKEEP_ADMIN_TOKEN_NEXT="+adminToken)})
	want := []string{"MINTKEEP_ADMIN_TOKEN_NEXT must differ from MINTKEEP_ADMIN_TOKEN: set it to the new token, or remove it"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mistakes (-want +got):\n%s", d)
	}
}
