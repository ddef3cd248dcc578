package remotekeys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// transport is for one fetch: a connection that was checked for one host is never used for another.
func (f *Fetcher) transport(u *url.URL) *http.Transport {
	t := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader}
	host, plain := u.Hostname(), u.Scheme == "http"
	if f.proxy != nil { // which decides what is reached
		t.Proxy = http.ProxyURL(f.proxy)
		t.DialContext = (&net.Dialer{Timeout: f.time * 2 / 5}).DialContext
		addr, _ := netip.ParseAddr(host)
		t.TLSClientConfig = f.tls(host, f.guard.listed(host, addr))
		return t
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return f.dial(ctx, network, address, host, plain)
	}
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := f.dial(ctx, network, address, host, plain)
		if err != nil {
			return nil, err
		}
		reached, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		secure := tls.Client(conn, f.tls(host, f.guard.listed(host, reached.Addr())))
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
	return t
}

// dial connects to one of the addresses of host. Each is checked after its name was resolved and before the connection
// begins, so that a name cannot resolve to a public address for the check and to another for the connection.
func (f *Fetcher) dial(ctx context.Context, network, address, host string, plain bool) (net.Conn, error) {
	dialer := &net.Dialer{
		Timeout:  f.time * 2 / 5,
		Resolver: f.resolver,
		Control: func(_, dialled string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(dialled)
			if err != nil {
				return err
			}
			return f.guard.check(host, to.Addr(), plain)
		},
	}
	return dialer.DialContext(ctx, network, address)
}

// tls is for a connection to host. Roots of the operator's own count only for what the operator has listed: they are often
// looked after less well than those of the system.
func (f *Fetcher) tls(host string, listed bool) *tls.Config {
	c := &tls.Config{ServerName: strings.TrimSuffix(host, "."), MinVersion: tls.VersionTLS12}
	if listed {
		c.RootCAs = f.roots.Load()
	}
	return c
}

// broken is the rule behind an error of a fetch. Errors of net/http may repeat what the other side has sent, so only
// those whose text is known are passed on.
func (f *Fetcher) broken(ctx context.Context, err error) error {
	var (
		named     rule
		name      *net.DNSError
		operation *net.OpError
		unknown   x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		wrongHost x509.HostnameError
		system    syscall.Errno
	)
	switch {
	case errors.As(err, &named):
		return named
	case ctx.Err() != nil:
		return rule(fmt.Sprintf("there is no complete answer within %s", f.time))
	case errors.As(err, &name):
		return rule("the host name cannot be resolved")
	case errors.As(err, &wrongHost):
		return rule("the certificate is not for the host of the URL")
	case errors.As(err, &unknown):
		return rule("the certificate is not of a known authority: MINTKEEP_FETCH_CA adds one for hosts in MINTKEEP_FETCH_ALLOW")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return rule("the certificate has expired, or is not valid yet")
	case errors.As(err, &invalid):
		return rule("the certificate is not valid")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &operation) && operation.Timeout():
		return rule(fmt.Sprintf("no connection within %s", f.time*2/5))
	case errors.As(err, &system):
		return rule("the connection failed: " + system.Error())
	case f.proxy != nil:
		return rule("there is no valid answer through the proxy of MINTKEEP_FETCH_PROXY")
	}
	return rule("there is no valid answer: the server does not speak TLS or HTTP, or closes the connection")
}
