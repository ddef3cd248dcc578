package config_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mintkeep/mintkeep/config"
)

const (
	adminToken = "5c0b8f2d9e17a64830cb5f9d2e71a648"
	nextToken  = "e71a6485c0b8f2d9e17a64830cb5f9d2"
	master     = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// withRedis is the least that a server with Redis needs.
func withRedis(more ...string) []string {
	return append([]string{
		"MINTKEEP_REDIS_URL=redis://redis:6379",
		"MINTKEEP_ISSUER=https://auth.example.com",
		"MINTKEEP_MASTER_KEY=" + master,
	}, more...)
}

func load(t *testing.T, src config.Source) (*config.Config, []string) {
	t.Helper()
	cfg, warnings, err := config.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, warnings
}

// mistakes loads what must not load and returns "SETTING problem" lines.
func mistakes(t *testing.T, src config.Source) []string {
	t.Helper()
	cfg, _, err := config.Load(src)
	var wrong *config.Error
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v, %v; want a *config.Error", cfg, err)
	}
	lines := make([]string, len(wrong.Mistakes))
	for i, m := range wrong.Mistakes {
		lines[i] = m.Setting + " " + m.Problem
		if m.Example == "" {
			t.Errorf("%s has no example", m.Setting)
		}
	}
	return lines
}

func TestNothingConfigured(t *testing.T) {
	got, warnings := load(t, config.Source{})
	if len(warnings) > 0 {
		t.Errorf("got warnings %q", warnings)
	}
	if !got.Embedded() || !got.Loopback() || got.TLS() {
		t.Errorf("got embedded %v, loopback %v, TLS %v", got.Embedded(), got.Loopback(), got.TLS())
	}
	if len(got.AdminToken) < 32 || len(got.MasterKeys) != 1 || len(got.MasterKeys[0]) != 32 {
		t.Errorf("got an admin token of %d and %d master keys", len(got.AdminToken), len(got.MasterKeys))
	}
	want := &config.Config{
		Addr:            "127.0.0.1:8080",
		Issuer:          "http://localhost:8080",
		TokenTTL:        time.Hour,
		TokenTTLMax:     24 * time.Hour,
		SigningAlg:      "ES256",
		SigningRotation: 720 * time.Hour,
		Audience:        "http://localhost:8080",
		KeyScopes:       config.KeyScopes{{Name: "read"}, {Name: "write"}},
		KeyPrefix:       "mk",
		KeyCreateRate:   config.Rate{Count: 60, Window: time.Minute},
		IntrospectOwner: "off",
		MetadataCompat:  true,

		AssertionAudience: []string{"issuer"},
		Feed:              true, FeedWaiting: 8192,

		MetricsAddr: "127.0.0.1:9464",
		LogLevel:    slog.LevelInfo,
		LogFormat:   "json",
		AuditLog:    config.AuditOff,
	}
	diff(t, got, want, cmpopts.IgnoreFields(config.Config{}, "AdminToken", "MasterKeys"))

	again, _ := load(t, config.Source{})
	if again.AdminToken == got.AdminToken || string(again.MasterKeys[0]) == string(got.MasterKeys[0]) {
		t.Error("two starts share a secret")
	}
}

func TestEverythingConfigured(t *testing.T) {
	cert, key := keyPair(t, 0o600)
	got, warnings := load(t, config.Source{Environ: []string{
		"MINTKEEP_ADDR=[::]:8443",
		"MINTKEEP_ISSUER=https://auth.example.com:8443",
		"MINTKEEP_REDIS_URL=rediss+sentinel://u:p@h1:1,h2:2/primary?db=1",
		"MINTKEEP_MASTER_KEY=" + master + ", _-7_AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4",
		"MINTKEEP_ADMIN_TOKEN=" + adminToken,
		"MINTKEEP_ADMIN_TOKEN_NEXT=" + nextToken,
		"MINTKEEP_TOKEN_TTL=5m",
		"MINTKEEP_TOKEN_TTL_MAX=48h",
		"MINTKEEP_SIGNING_ALG=EdDSA",
		"MINTKEEP_SIGNING_ROTATION=0",
		"MINTKEEP_AUDIENCE=urn:example:api",
		"MINTKEEP_KEY_SCOPES=invoices:read payments/write",
		"MINTKEEP_KEY_PREFIX=acme",
		"MINTKEEP_KEY_CREATE_RATE=5/h",
		"MINTKEEP_INTROSPECT_OWNER=email",
		"MINTKEEP_METADATA_COMPAT=false",
		"MINTKEEP_FEED=off",
		"MINTKEEP_FEED_WAITING=100",
		"MINTKEEP_ASSERTION_AUDIENCE=issuer",
		"MINTKEEP_REVOKE_DURABILITY=replicas:2",
		"MINTKEEP_TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.7,2001:db8::/32, ::ffff:127.0.0.0/104,::ffff:192.0.2.8,::ffff:192.0.2.9/128",
		"MINTKEEP_TLS_CERT=" + cert,
		"MINTKEEP_TLS_KEY=" + key,
		"MINTKEEP_FETCH_ALLOW=10.1.2.3/8, Keys.Example.,::ffff:192.0.2.8",
		"MINTKEEP_FETCH_CA=" + cert,
		"MINTKEEP_FETCH_PROXY=http://Proxy.example:3128/",
		"MINTKEEP_METRICS_ADDR=[::1]:9465",
		"MINTKEEP_PPROF=true",
		"MINTKEEP_LOG_LEVEL=debug",
		"MINTKEEP_LOG_FORMAT=text",
		"MINTKEEP_AUDIT_LOG=/var/log/mintkeep/audit.jsonl",
	}})
	if len(warnings) > 0 {
		t.Errorf("got warnings %q", warnings)
	}
	first, _ := base64.StdEncoding.DecodeString(master)
	second, _ := base64.RawURLEncoding.DecodeString("_-7_AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4")
	want := &config.Config{
		Addr:       "[::]:8443",
		Issuer:     "https://auth.example.com:8443",
		RedisURL:   "rediss+sentinel://u:p@h1:1,h2:2/primary?db=1",
		MasterKeys: config.MasterKeys{first, second},
		AdminToken: adminToken, AdminTokenNext: nextToken,
		TokenTTL: 5 * time.Minute, TokenTTLMax: 48 * time.Hour,
		SigningAlg: "EdDSA", SigningRotation: 0,
		Audience: "urn:example:api", KeyScopes: config.KeyScopes{{Name: "invoices:read"}, {Name: "payments/write"}}, KeyPrefix: "acme",
		IntrospectOwner:   config.OwnerEmail,
		KeyCreateRate:     config.Rate{Count: 5, Window: time.Hour},
		AssertionAudience: []string{"issuer"},
		RevokeDurability:  config.Durability{Replicas: 2},
		FeedWaiting:       100,
		TrustedProxies: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32"),
			netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.8/32"), netip.MustParsePrefix("192.0.2.9/32"),
		},
		FetchAllow: config.FetchAllow{
			Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.8/32")}, Hosts: []string{"keys.example"},
		},
		FetchCA: cert, FetchProxy: "http://proxy.example:3128",
		TLSCert: cert, TLSKey: key, MetricsAddr: "[::1]:9465", PProf: true,
		LogLevel: slog.LevelDebug, LogFormat: "text",
		AuditLog: "/var/log/mintkeep/audit.jsonl",
	}
	diff(t, got, want)
}

func TestWithRedisNothingIsInvented(t *testing.T) {
	got, _ := load(t, config.Source{Environ: withRedis()})
	if got.AdminToken != "" || got.Addr != ":8080" || got.Embedded() || got.Loopback() {
		t.Errorf("got admin token set %v, address %q, embedded %v", got.AdminToken != "", got.Addr, got.Embedded())
	}
}

func TestFlagsWin(t *testing.T) {
	src := config.Source{
		Environ: withRedis("MINTKEEP_TOKEN_TTL=rubbish", "MINTKEEP_METRICS_ADDR=127.0.0.1:1", "MINTKEEP_KEY_PREFIX=acme"),
		Flags:   map[string]string{"token-ttl": "2h", "metrics-addr": "", "redis-url": "", "key-prefix": ""},
	}
	got, _ := load(t, src)
	if got.TokenTTL != 2*time.Hour || got.MetricsAddr != "" || !got.Embedded() || got.KeyPrefix != "mk" {
		t.Errorf("got TTL %v, metrics %q, embedded %v, prefix %q", got.TokenTTL, got.MetricsAddr, got.Embedded(), got.KeyPrefix)
	}
}

func TestMostKeyScopes(t *testing.T) {
	got, _ := load(t, config.Source{Environ: []string{"MINTKEEP_KEY_SCOPES=" + numbered("s", 50)}})
	if names := got.KeyScopes.Names(); len(names) != 50 || names[49] != "s50" {
		t.Errorf("got %q", names)
	}
}

func TestKeyScopesWithDescriptions(t *testing.T) {
	got, _ := load(t, config.Source{Environ: []string{"MINTKEEP_KEY_SCOPES=orders:read=Read orders; write = Create, change = cancel ;list"}})
	want := config.KeyScopes{{"orders:read", "Read orders"}, {"write", "Create, change = cancel"}, {"list", ""}}
	if d := cmp.Diff(want, got.KeyScopes); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for scope, want := range map[string]string{"orders:read": "Read orders", "list": "", "none": ""} {
		if got := got.KeyScopes.Description(scope); got != want {
			t.Errorf("%s: got %q, want %q", scope, got, want)
		}
	}
}

func TestEmptyIsUnset(t *testing.T) {
	var environ []string
	for _, s := range config.Settings() {
		environ = append(environ, s.Name+"=", s.File()+"=")
	}
	environ = slices.DeleteFunc(environ, func(s string) bool { return strings.HasPrefix(s, "MINTKEEP_METRICS_ADDR") })
	got, _ := load(t, config.Source{Environ: environ})
	want, _ := load(t, config.Source{})
	diff(t, got, want, cmpopts.IgnoreFields(config.Config{}, "AdminToken", "MasterKeys"))
}

func TestLogFormatFollowsTheTerminal(t *testing.T) {
	for terminal, want := range map[bool]string{true: "text", false: "json"} {
		if got, _ := load(t, config.Source{Terminal: terminal}); got.LogFormat != want {
			t.Errorf("terminal %v: got %q, want %q", terminal, got.LogFormat, want)
		}
	}
}

func TestIssuerDerivedFromTheAddress(t *testing.T) {
	cert, key := keyPair(t, 0o600)
	tests := []struct {
		addr, want string
		tls        bool
	}{
		{addr: "127.0.0.1:8080", want: "http://localhost:8080"},
		{addr: ":8080", want: "http://localhost:8080"},
		{addr: "0.0.0.0:80", want: "http://localhost"},
		{addr: "[::]:9000", want: "http://localhost:9000"},
		{addr: "[::1]:9000", want: "http://[::1]:9000"},
		{addr: "127.0.0.2:9000", want: "http://127.0.0.2:9000"},
		{addr: "Build.Example:9000", want: "http://build.example:9000"},
		{addr: ":8443", want: "https://localhost:8443", tls: true},
		{addr: ":443", want: "https://localhost", tls: true},
	}
	for _, tt := range tests {
		src := config.Source{Environ: []string{"MINTKEEP_ADDR=" + tt.addr}}
		if tt.tls {
			src.Environ = append(src.Environ, "MINTKEEP_TLS_CERT="+cert, "MINTKEEP_TLS_KEY="+key)
		}
		if got, _ := load(t, src); got.Issuer != tt.want || got.Audience != tt.want {
			t.Errorf("%s: got %q and audience %q, want %q", tt.addr, got.Issuer, got.Audience, tt.want)
		}
	}
}

func TestListening(t *testing.T) {
	bound := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
	derived, _ := load(t, config.Source{Environ: []string{"MINTKEEP_ADDR=127.0.0.1:0"}})
	derived.Listening(bound)
	if want := "http://localhost:4711"; derived.Issuer != want || derived.Audience != want {
		t.Errorf("got %q, audience %q, want %q", derived.Issuer, derived.Audience, want)
	}
	given, _ := load(t, config.Source{Environ: []string{"MINTKEEP_ADDR=127.0.0.1:0", "MINTKEEP_ISSUER=https://a.example"}})
	given.Listening(bound)
	if want := "https://a.example"; given.Issuer != want {
		t.Errorf("got %q, want %q", given.Issuer, want)
	}
}

func TestLocalURL(t *testing.T) {
	tests := []struct {
		environ []string
		want    string
	}{
		{nil, "http://127.0.0.1:8080"},
		{withRedis(), "http://127.0.0.1:8080"},
		{[]string{"MINTKEEP_REDIS_URL=redis://r", "MINTKEEP_TOKEN_TTL=rubbish"}, "http://127.0.0.1:8080"},
		{[]string{"MINTKEEP_ADDR=[::]:8443", "MINTKEEP_TLS_CERT=/gone.crt"}, "https://[::1]:8443"},
		{[]string{"MINTKEEP_ADDR=0.0.0.0:1"}, "http://127.0.0.1:1"},
		{[]string{"MINTKEEP_ADDR=192.0.2.1:1"}, "http://192.0.2.1:1"},
	}
	for _, tt := range tests {
		got, err := config.LocalURL(config.Source{Environ: tt.environ})
		if err != nil || got != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.environ, got, err, tt.want)
		}
	}
	if _, err := config.LocalURL(config.Source{Environ: []string{"MINTKEEP_ADDR=8080"}}); err == nil {
		t.Error("a bad address has a URL")
	}
}

func TestExamplesAreAccepted(t *testing.T) {
	for _, s := range config.Settings() {
		if s.NoFlag || strings.HasPrefix(s.Flag, "tls-") || s.Flag == "fetch-ca" {
			continue
		}
		environ := withRedis("MINTKEEP_ADMIN_ADDR=127.0.0.1:8081")
		environ = slices.DeleteFunc(environ, func(e string) bool { return strings.HasPrefix(e, s.Name+"=") })
		if _, _, err := config.Load(config.Source{Environ: append(environ, s.Name+"="+s.Example)}); err != nil {
			t.Errorf("%s=%s: %v", s.Name, s.Example, err)
		}
	}
}

func diff(t *testing.T, got, want *config.Config, opts ...cmp.Option) {
	t.Helper()
	opts = append(opts, cmpopts.IgnoreUnexported(config.Config{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }))
	if d := cmp.Diff(want, got, opts...); d != "" {
		t.Errorf("config (-want +got):\n%s", d)
	}
}

func TestPrintsNoSecret(t *testing.T) {
	cfg, _ := load(t, config.Source{Environ: withRedis("MINTKEEP_ADMIN_TOKEN=" + adminToken)})
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "config", cfg, "token", cfg.AdminToken, "keys", cfg.MasterKeys)
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "config", cfg, "token", cfg.AdminToken, "keys", cfg.MasterKeys)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&log, verb+"\n", *cfg)
		fmt.Fprintf(&log, verb+" "+verb+"\n", cfg.AdminToken, cfg.MasterKeys)
	}
	for _, canary := range []string{adminToken, fmt.Sprintf("%x", adminToken), "redis:6379", master, "0 1 2 3 4", "000102", "0x0, 0x1"} {
		if strings.Contains(log.String(), canary) {
			t.Errorf("printed %q:\n%s", canary, log.String())
		}
	}
}

// A setting that Load does not read is explained, and has no effect. No setting takes a NUL.
func TestEverySettingIsRead(t *testing.T) {
	for _, s := range config.Settings() {
		environ := append([]string{s.Name + "=\x00"}, withRedis()...)
		if _, _, err := config.Load(config.Source{Environ: environ}); err == nil || !strings.Contains(err.Error(), s.Name) {
			t.Errorf("config/load.go: Load does not read %s: got %v", s.Name, err)
		}
	}
}
