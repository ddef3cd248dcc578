package config

import (
	"errors"
	"fmt"
	"slices"
)

// Load reads and checks every setting. It returns warnings, and every error at
// once as an [*Error].
func Load(src Source) (*Config, []string, error) {
	l := newLoader(src)
	c := &Config{RedisURL: read(l, "redis-url", redisURL)}
	c.Addr = read(l, "addr", parseAddr)
	c.MasterKeys = read(l, "master-key", parseMasterKeys)
	c.AdminToken = read(l, "admin-token", parseAdminToken)
	c.AdminTokenNext = read(l, "admin-token-next", parseAdminToken)
	c.TokenTTL = read(l, "token-ttl", parseTTL)
	c.TokenTTLMax = read(l, "token-ttl-max", parseTTL)
	c.SigningAlg = read(l, "signing-alg", oneOf("ES256", "EdDSA", "RS256"))
	c.SigningRotation = read(l, "signing-rotation", parseRotation)
	c.KeyScopes = read(l, "key-scopes", parseKeyScopes)
	c.KeyPrefix = read(l, "key-prefix", parseKeyPrefix)
	c.KeyCreateRate = read(l, "key-create-rate", ParseRate)
	c.IntrospectOwner = read(l, "introspect-owner", oneOf("off", OwnerEmail))
	c.MetadataCompat = read(l, "metadata-compat", parseBool)
	c.AssertionAudience = read(l, "assertion-audience", parseAssertionAudience)
	c.RevokeDurability = read(l, "revoke-durability", parseDurability)
	c.Feed = read(l, "feed", parseSwitch)
	c.FeedWaiting = read(l, "feed-waiting", parseFeedWaiting)
	c.TrustedProxies = read(l, "trusted-proxies", parseProxies)
	c.AdminAddr = read(l, "admin-addr", parseAddr)
	c.AdminURL = read(l, "admin-url", ParseOrigin)
	c.TLSCert = read(l, "tls-cert", asIs)
	c.TLSKey = read(l, "tls-key", asIs)
	c.FetchAllow = read(l, "fetch-allow", parseFetchAllow)
	c.FetchCA = read(l, "fetch-ca", asIs)
	c.FetchProxy = read(l, "fetch-proxy", parseProxyURL)
	c.MetricsAddr = read(l, "metrics-addr", parseAddr)
	c.PProf = read(l, "pprof", parseBool)
	c.LogLevel = read(l, "log-level", parseLevel)
	c.LogFormat = read(l, "log-format", oneOf("text", "json"))
	c.AuditLog = read(l, "audit-log", parseAuditLog)
	c.Issuer = read(l, "issuer", ParseOrigin)
	c.Audience = read(l, "audience", parseAudience)
	c.Tracing = l.tracing()

	l.require()
	l.relate(c)
	l.relateAdminTokens(c)
	l.relateAdminListener(c)
	l.relateDurability(c)
	l.relateTLS(c)
	l.relateFetch(c)
	l.warn(c)
	if err := l.err(); err != nil {
		return nil, l.warnings, err
	}
	c.derive(src)
	return c, l.warnings, nil
}

// A loader gathers values, errors and warnings. Its maps go by flag.
type loader struct {
	src      Source
	settings map[string]Setting
	values   map[string]value
	mistakes map[string]Mistake
	otel     []Mistake // of the variables of OpenTelemetry
	warnings []string
	embedded bool // no Redis is configured
}

// A value is what was given for a setting, before it is parsed.
type value struct {
	text   string
	given  bool
	origin string // its name for the operator: MINTKEEP_ADDR, or with the flag
}

func newLoader(src Source) *loader {
	l := &loader{src: src, settings: map[string]Setting{}, values: map[string]value{}, mistakes: map[string]Mistake{}}
	for _, s := range Settings() {
		l.settings[s.Flag] = s
		v, err := l.lookup(s)
		l.values[s.Flag] = v
		if err != nil {
			l.mistake(s.Flag, err)
		}
	}
	l.embedded = !l.given("redis-url")
	return l
}

// lookup finds a value: on the command line, else in the environment or the file
// that it names. An empty value is none, unless the setting gives it a meaning.
func (l *loader) lookup(s Setting) (value, error) {
	if text, ok := l.src.Flags[s.Flag]; ok {
		v := value{text: text, origin: s.Name + " (--" + s.Flag + ")", given: text != "" || s.EmptyCounts}
		if s.NoFlag {
			return v, fmt.Errorf("is a secret and cannot be a flag: set the variable, or write the path of a file to %s", s.File())
		}
		if s.Secret && hasPassword(text) {
			return v, fmt.Errorf("contains a password, which must not be on the command line: set the variable, or write the path of a file to %s", s.File())
		}
		return v, nil
	}
	if !s.Secret {
		text, ok := l.src.Lookup(s.Name)
		return value{text: text, origin: s.Name, given: text != "" || ok && s.EmptyCounts}, nil
	}
	secret, warning, err := l.src.Secret(s.Name)
	if warning != "" {
		l.warnings = append(l.warnings, warning)
	}
	return value{text: secret.Reveal(), origin: s.Name, given: secret != "" || err != nil}, err
}

func (l *loader) given(flag string) bool { return l.values[flag].given }

// mistake reports what is wrong with a setting, the first time only: further
// errors follow from the first.
func (l *loader) mistake(flag string, err error) {
	if _, reported := l.mistakes[flag]; reported {
		return
	}
	s := l.settings[flag]
	l.mistakes[flag] = Mistake{Setting: l.values[flag].origin, Problem: err.Error(), Example: s.Name + "=" + s.Example}
}

// err returns the errors in the order of the manual, of some settings or all.
func (l *loader) err(flags ...string) error {
	var mistakes []Mistake
	for _, s := range Settings() {
		m, ok := l.mistakes[s.Flag]
		if ok && (len(flags) == 0 || slices.Contains(flags, s.Flag)) {
			mistakes = append(mistakes, m)
		}
	}
	if len(flags) == 0 {
		mistakes = append(mistakes, l.otel...)
	}
	if len(mistakes) == 0 {
		return nil
	}
	return &Error{Mistakes: mistakes}
}

// read parses a setting's value, or its default.
func read[T any](l *loader, flag string, parse func(string) (T, error)) T {
	var zero T
	v, s := l.values[flag], l.settings[flag]
	text := v.text
	if !v.given {
		text = s.Default
		if l.embedded && s.Embedded != "" {
			text = s.Embedded
		}
	}
	if _, bad := l.mistakes[flag]; bad || text == "" {
		return zero
	}
	parsed, err := parse(text)
	if err != nil {
		l.mistake(flag, err)
		return zero
	}
	return parsed
}

// require reports the settings that Redis needs and that are missing.
func (l *loader) require() {
	if l.embedded {
		return
	}
	for _, flag := range []string{"issuer", "master-key"} {
		if !l.given(flag) {
			l.mistake(flag, errors.New("is required with Redis"))
		}
	}
}

// relate checks the settings that depend on one another.
func (l *loader) relate(c *Config) {
	if c.TokenTTL > c.TokenTTLMax && c.TokenTTLMax > 0 {
		flag := "token-ttl"
		if !l.given(flag) {
			flag = "token-ttl-max" // the operator did not set the default
		}
		l.mistake(flag, errors.New("is out of range: MINTKEEP_TOKEN_TTL must not be longer than MINTKEEP_TOKEN_TTL_MAX"))
	}
	if c.PProf && !Loopback(c.MetricsAddr) {
		l.mistake("pprof", errors.New("needs a loopback address in MINTKEEP_METRICS_ADDR, because profiles contain parts of the memory"))
	}
}

// relateAdminTokens checks that the second admin token is another than the first, and not alone.
func (l *loader) relateAdminTokens(c *Config) {
	switch {
	case !l.given("admin-token-next"):
	case !l.given("admin-token"):
		l.mistake("admin-token-next", errors.New("is set without MINTKEEP_ADMIN_TOKEN: set MINTKEEP_ADMIN_TOKEN; this second token is only for replacing it"))
	case c.AdminTokenNext == c.AdminToken && c.AdminToken != "":
		l.mistake("admin-token-next", errors.New("must differ from MINTKEEP_ADMIN_TOKEN: set it to the new token, or remove it"))
	}
}

// relateAdminListener checks that the listener for operators is another than the public one, and that its origin is known
// and is not that of the public one, whose cookies it must not share.
func (l *loader) relateAdminListener(c *Config) {
	if c.AdminAddr == "" {
		if l.given("admin-url") && !l.given("admin-addr") {
			l.mistake("admin-url", errors.New("is set without MINTKEEP_ADMIN_ADDR: set the address to listen at, or remove it"))
		}
		return
	}
	if _, port := splitAddr(c.AdminAddr); c.AdminAddr == c.Addr && port != 0 {
		l.mistake("admin-addr", errors.New("must differ from MINTKEEP_ADDR"))
	}
	switch {
	case !l.given("admin-url") && !Loopback(c.AdminAddr):
		l.mistake("admin-url", errors.New("is required with a MINTKEEP_ADMIN_ADDR that is not a loopback address"))
	case c.AdminURL != "" && c.AdminURL == c.Issuer:
		l.mistake("admin-url", errors.New("must differ from MINTKEEP_ISSUER: it is the origin of another listener"))
	}
}
