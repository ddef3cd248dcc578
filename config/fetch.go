package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// FetchAllow is what keys may be fetched from although it is not public.
type FetchAllow struct {
	Networks []netip.Prefix
	Hosts    []string // in lower case, without a dot at the end
}

// Addr is whether a network has the address.
func (a FetchAllow) Addr(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // a network has no zone
	return slices.ContainsFunc(a.Networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Host is whether the name is in the list. A name stands for itself alone, and not for its subdomains.
func (a FetchAllow) Host(name string) bool {
	return slices.Contains(a.Hosts, strings.ToLower(strings.TrimSuffix(name, ".")))
}

// endsInNumber is a host that resolvers may read as an IPv4 address, such as 127.1 or 0x7f.1 (inet_aton).
var endsInNumber = regexp.MustCompile(`(^|\.)(\d+|0[xX][0-9a-fA-F]*)$`)

// Hostname is whether s is a host by name, in ASCII, and no address in any form. A dot at its end is allowed.
func Hostname(s string) bool {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	return len(s) <= 253 && hostname.MatchString(s) && !endsInNumber.MatchString(s)
}

// parseFetchAllow reads a comma list of networks, addresses and host names.
func parseFetchAllow(s string) (allow FetchAllow, err error) {
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		prefix, ok := network(part)
		switch {
		case ok:
			if prefix, err = unmapped(prefix); err != nil {
				return FetchAllow{}, err
			}
			allow.Networks = append(allow.Networks, prefix.Masked())
		case Hostname(part):
			allow.Hosts = append(allow.Hosts, strings.ToLower(strings.TrimSuffix(part, ".")))
		default:
			return FetchAllow{}, errors.New("must be networks, addresses and host names, separated by commas, without scheme and port")
		}
	}
	return allow, nil
}

// parseProxyURL accepts an http URL of host and port. A password there would be in the process list.
func parseProxyURL(s string) (string, error) {
	canonical, err := ParseOrigin(s)
	if err != nil {
		return "", err
	}
	if u, err := url.Parse(canonical); err != nil || u.Scheme != "http" {
		return "", errors.New("must begin with http://: https through it stays encrypted from end to end")
	}
	return canonical, nil
}

// FetchRoots reads the file of MINTKEEP_FETCH_CA: the roots of the system, and those of the file. Nil without a file.
func (c *Config) FetchRoots() (*x509.CertPool, error) {
	if c.FetchCA == "" {
		return nil, nil //nolint:nilnil // no more roots, and no error
	}
	text, _, err := readFile(c.FetchCA)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // an image without roots has only those of the file
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fileError(c.FetchCA, errors.New("no certificate in PEM"))
	}
	return roots, nil
}

func (l *loader) relateFetch(c *Config) {
	if _, err := c.FetchRoots(); err != nil {
		l.mistake("fetch-ca", fmt.Errorf("cannot be used: %w", err))
	}
}

// warnFetch warns of what is allowed and hardly meant.
func (l *loader) warnFetch(c *Config) {
	if slices.ContainsFunc(c.FetchAllow.Networks, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		l.warnings = append(l.warnings, "MINTKEEP_FETCH_ALLOW allows every address: an operator who registers a jwks_uri can have the server connect to each host of your network; list only the hosts that have keys")
	}
	if c.FetchCA != "" && len(c.FetchAllow.Hosts)+len(c.FetchAllow.Networks) == 0 {
		l.warnings = append(l.warnings, "MINTKEEP_FETCH_CA has no effect without MINTKEEP_FETCH_ALLOW: its roots count only for the hosts and networks that are listed there")
	}
}
