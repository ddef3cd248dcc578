package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// warn collects warnings about what is allowed but probably wrong.
func (l *loader) warn(c *Config) {
	if text := l.values["issuer"].text; c.Issuer != "" && text != c.Issuer {
		l.warnings = append(l.warnings, "MINTKEEP_ISSUER is used in its canonical form, "+c.Issuer)
	}
	if PlainOffLoopback(c.Issuer) || c.Issuer == "" && l.embedded && c.TLSCert == "" && derivedOffLoopback(c.Addr) {
		l.warnings = append(l.warnings, "MINTKEEP_ISSUER is http on a non-loopback address: secrets and tokens are sent unencrypted; use TLS, here or at a proxy in front, and set an issuer that begins with https")
	}
	if PlainOffLoopback(c.AdminURL) {
		l.warnings = append(l.warnings, "MINTKEEP_ADMIN_URL is http on a non-loopback address: passwords and admin tokens are sent unencrypted; use TLS, here or at a proxy in front, and set an origin that begins with https")
	}
	if l.embedded && c.Addr != "" && !c.Loopback() {
		l.warnings = append(l.warnings, "MINTKEEP_ADDR is reachable from other machines, and the embedded store keeps its data in memory only: the data is lost on exit; set MINTKEEP_REDIS_URL to keep it")
	}
	for _, prefix := range c.TrustedProxies {
		if prefix.Bits() == 0 {
			l.warnings = append(l.warnings, "MINTKEEP_TRUSTED_PROXIES trusts every address: any caller can choose the address that the limits and the audit log use")
			break
		}
	}
	l.warnOfAudience(c)
	l.warnFetch(c)
	l.warnings = append(l.warnings, unknown(l.src.Environ)...)
}

// PlainOffLoopback is whether what is sent to an origin can be read on its way: plain http to another machine.
func PlainOffLoopback(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Scheme == "http" && !loopbackHost(u.Hostname())
}

func derivedOffLoopback(addr string) bool {
	host, port := splitAddr(addr)
	return addr != "" && PlainOffLoopback(originOf(host, port, false))
}

// others are the variables of the other commands, and of the tests.
var others = []string{
	"MINTKEEP_URL", "MINTKEEP_CLIENT_ID", "MINTKEEP_CLIENT_SECRET", "MINTKEEP_CLIENT_SECRET_FILE",
	"MINTKEEP_CLIENT_KEY_FILE", "MINTKEEP_TOKEN", "MINTKEEP_TOKEN_FILE", "MINTKEEP_CA_FILE",
}

// linked are the variables that Kubernetes and Docker set for a service called
// mintkeep.
var linked = regexp.MustCompile(`^MINTKEEP_(TEST_.*|NAME|ENV_.*|SERVICE_(HOST|PORT.*)|PORT|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)$`)

// unknown warns of variables that look like settings but are none.
func unknown(environ []string) []string {
	known := slices.Clone(others)
	for _, s := range Settings() {
		known = append(known, s.Name)
		if s.Secret {
			known = append(known, s.File())
		}
	}
	var warnings []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "MINTKEEP_") || linked.MatchString(name) || slices.Contains(known, name) {
			continue
		}
		warning := name + " is not a setting of this version and has no effect"
		if near := nearest(name, known); near != "" {
			warning += "; did you mean " + near + "?"
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}

// nearest returns the known name that differs by a few letters, or by a word at
// its end or its beginning; or nothing.
func nearest(name string, known []string) string {
	word := strings.TrimPrefix(name, "MINTKEEP")
	best, least := "", 2+len(word)/3
	for _, k := range known {
		d := distance(name, k)
		if strings.HasPrefix(k, name+"_") || strings.HasPrefix(name, k+"_") || strings.HasSuffix(k, word) {
			d = 1
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters to add, drop or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
