package remotekeys

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/mintkeep/mintkeep/config"
)

const (
	maxURI    = 512 // bytes
	leastPort = 1024
)

// CheckURI checks the form of a URL, without the network. The error says what it must be.
func (f *Fetcher) CheckURI(uri string) error {
	_, err := f.parse(uri)
	return err
}

func (f *Fetcher) parse(uri string) (*url.URL, error) {
	if len(uri) > maxURI {
		return nil, fmt.Errorf("must have at most %d bytes", maxURI)
	}
	if strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return nil, errors.New("must be printable ASCII without spaces")
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil, u.Opaque != "", u.Scheme == "":
		return nil, errors.New("must be an absolute URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must begin with https://")
	case u.User != nil:
		return nil, errors.New("must have no user and no password")
	case strings.Contains(uri, "#"):
		return nil, errors.New("must have no fragment")
	}
	loopback, err := f.checkHost(u.Hostname())
	if err != nil {
		return nil, err
	}
	if u.Scheme == "http" && (!loopback || f.proxy != nil) {
		return nil, errors.New("must begin with https://")
	}
	return u, checkPort(u)
}

// checkHost checks a host by its form. loopback is whether http may be used if it turns out to be this machine.
func (f *Fetcher) checkHost(host string) (loopback bool, err error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" || !f.guard.allow.Addr(addr) {
			return false, errors.New("must have a host name: an address needs MINTKEEP_FETCH_ALLOW")
		}
		return addr.Unmap().IsLoopback(), nil
	}
	if !config.Hostname(host) {
		return false, errors.New("must have a host name")
	}
	return f.guard.allow.Host(host) || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost"), nil
}

// checkPort accepts 443, and ports that no system service uses: so nothing makes Mintkeep speak to those.
func checkPort(u *url.URL) error {
	if u.Port() == "" && u.Scheme == "https" && !strings.HasSuffix(u.Host, ":") {
		return nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port != 443 && port < leastPort {
		return fmt.Errorf("must have the port 443, or one from %d to 65535", leastPort)
	}
	return nil
}
