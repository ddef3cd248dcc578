package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The parsers say what is wrong in words that follow the setting's name, and
// never repeat the value.

const (
	masterKeySize = 32
	minAdminToken = 32
	minRotation   = time.Hour

	maxFeedWaiting = 1_000_000
)

func asIs(s string) (string, error) { return s, nil }

// oneOf accepts the words given.
func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fmt.Errorf("must be %s or %s", strings.Join(words[:len(words)-1], ", "), words[len(words)-1])
		}
		return s, nil
	}
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

func parseLevel(s string) (slog.Level, error) {
	if _, err := oneOf("debug", "info", "warn", "error")(s); err != nil {
		return 0, err
	}
	return levels[s], nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errors.New("is not a duration such as 1h30m or 90s")
	}
	return d, nil
}

// parseTTL reads a lifetime. Tokens tell it in whole seconds (RFC 6749 §5.1).
func parseTTL(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	switch {
	case err != nil:
		return 0, err
	case d <= 0:
		return 0, errors.New("must be longer than 0s")
	case d%time.Second != 0:
		return 0, errors.New("must be a whole number of seconds")
	}
	return d, nil
}

func parseRotation(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err == nil && d != 0 && d < minRotation {
		err = errors.New("must be at least 1h, or 0 for manual rotation only")
	}
	return d, err
}

var keyPrefix = regexp.MustCompile(`^[a-z][a-z0-9]{1,7}$`)

func parseKeyPrefix(s string) (string, error) {
	if !keyPrefix.MatchString(s) {
		return "", errors.New("must be a lower-case letter and one to seven lower-case letters or digits")
	}
	return s, nil
}

// parseMasterKeys reads a comma list of keys in base64, of either alphabet, with
// or without padding.
func parseMasterKeys(s string) (MasterKeys, error) {
	parts := strings.Split(s, ",")
	keys := make(MasterKeys, 0, len(parts))
	toStd := strings.NewReplacer("-", "+", "_", "/")
	for i, part := range parts {
		text := strings.TrimRight(toStd.Replace(strings.TrimSpace(part)), "=")
		key, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil || len(key) != masterKeySize {
			return nil, fmt.Errorf("must be %d bytes in base64, but key %d of %d is not", masterKeySize, i+1, len(parts))
		}
		if repeats(string(key)) {
			return nil, fmt.Errorf("must be random, but key %d of %d is not", i+1, len(parts))
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// parseAdminToken accepts what fits an Authorization header and cannot be guessed.
func parseAdminToken(s string) (Secret, error) {
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", errors.New("must be printable ASCII characters without spaces")
	case len(s) < minAdminToken:
		return "", fmt.Errorf("must have at least %d characters", minAdminToken)
	case repeats(s):
		return "", errors.New("must be random, but is not")
	}
	return Secret(s), nil
}

// repeats is whether s is a repetition of one part, or has only a few different bytes.
func repeats(s string) bool {
	distinct := map[byte]bool{}
	for i := range len(s) {
		distinct[s[i]] = true
	}
	return len(distinct) < 8 || strings.Contains((s + s)[1:2*len(s)-1], s)
}

// parseProxies reads a comma list of networks and single addresses.
func parseProxies(s string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for part := range strings.SplitSeq(s, ",") {
		prefix, ok := network(strings.TrimSpace(part))
		if !ok {
			return nil, errors.New("must be networks and addresses, separated by commas")
		}
		prefix, err := unmapped(prefix)
		if err != nil {
			return nil, err
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// network reads a network, or an address as the network of it alone.
func network(s string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		return prefix, true
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

// unmapped is an IPv4 network that is written as IPv6 (RFC 4291 §2.5.5.2), in IPv4: so callers' addresses are compared.
func unmapped(prefix netip.Prefix) (netip.Prefix, error) {
	if !prefix.Addr().Is4In6() {
		return prefix, nil
	}
	bits := prefix.Bits() - 96
	if bits < 0 {
		return prefix, errors.New("has an IPv4-mapped network that is larger than ::ffff:0.0.0.0/96: write it as IPv4 or as IPv6")
	}
	return netip.PrefixFrom(prefix.Addr().Unmap(), bits), nil
}

// parseBool accepts true and false.
func parseBool(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, errors.New("must be true or false")
	}
	return s == "true", nil
}

// parseSwitch accepts on and off.
func parseSwitch(s string) (bool, error) {
	_, err := oneOf("on", "off")(s)
	return err == nil && s == "on", err
}

// The values of MINTKEEP_AUDIT_LOG that are not the path of a file.
const (
	AuditOff    = "off"
	AuditStdout = "stdout"
)

// parseAuditLog accepts off, stdout and a path. What could be neither is more likely an error than a file.
func parseAuditLog(s string) (string, error) {
	if s != AuditOff && s != AuditStdout && !strings.ContainsAny(s, `/\.`) || strings.Contains(s, "://") {
		return "", errors.New("must be off, stdout or the path of a file")
	}
	return s, nil
}

func parseFeedWaiting(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxFeedWaiting {
		return 0, fmt.Errorf("must be a number from 1 to %d", maxFeedWaiting)
	}
	return n, nil
}

func parseAddr(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", errors.New("must be host:port or :port")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", errors.New("must end with a port from 0 to 65535")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostname.MatchString(strings.ToLower(host)) {
		return "", errors.New("must begin with a host name or an address, or with the colon")
	}
	return s, nil
}

// parseAudience accepts an absolute URI without a fragment (RFC 8707 §2).
func parseAudience(s string) (string, error) {
	bad := strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\<>^{}|`+"`", r) })
	u, err := url.Parse(s)
	if bad || err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" {
		return "", errors.New("must be an absolute URI")
	}
	if strings.Contains(s, "#") {
		return "", errors.New("must have no fragment")
	}
	return s, nil
}
