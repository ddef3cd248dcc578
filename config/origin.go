package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// hostname is a host by name, in lower case; names beyond ASCII come as A-labels.
var hostname = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

// ParseOrigin reads an http or https origin and returns its canonical form: host
// in lower case, no default port, no slash at the end. Relying parties compare
// issuers byte by byte (RFC 8414 §3.3), so there must be only one form.
func ParseOrigin(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.Host == "" {
		return "", errors.New("must be an absolute http or https URL")
	}
	switch {
	case u.User != nil:
		return "", errors.New("must have no user name or password")
	case strings.ContainsAny(s, "?#"):
		return "", errors.New("must have no query and no fragment")
	case u.Path != "" && u.Path != "/":
		return "", errors.New("must have no path")
	}
	host, ok := canonicalHost(u.Hostname())
	if !ok {
		return "", errors.New("must have a host name or an address in ASCII")
	}
	port := 0
	if u.Port() != "" {
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || n == 0 {
			return "", errors.New("must have a port from 1 to 65535, or none")
		}
		port = int(n)
	}
	return origin(u.Scheme, host, port), nil
}

func canonicalHost(host string) (string, bool) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.String(), addr.Zone() == ""
	}
	host = strings.ToLower(host)
	return host, hostname.MatchString(host)
}

// origin is the canonical form of scheme, host and port. Port 0 is none.
func origin(scheme, host string, port int) string {
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		port = 0
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == 0 {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + strconv.Itoa(port)
}

// originOf derives the issuer from the listen address.
func originOf(host string, port int, tls bool) string {
	addr, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && addr.IsUnspecified(), host == "127.0.0.1":
		host = "localhost"
	case err == nil:
		host = addr.WithZone("").String()
	default:
		host = strings.ToLower(host)
	}
	return origin(schemeOf(tls), host, port)
}

func schemeOf(tls bool) string {
	if tls {
		return "https"
	}
	return "http"
}

// splitAddr splits what parseAddr accepted.
func splitAddr(addr string) (host string, port int) {
	host, text, _ := net.SplitHostPort(addr)
	port, _ = strconv.Atoi(text)
	return host, port
}

// Loopback is whether only this machine can reach a listen address.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && loopbackHost(host)
}

func loopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		host = strings.ToLower(host)
		return host == "localhost" || strings.HasSuffix(host, ".localhost")
	}
	return addr.Unmap().IsLoopback()
}
