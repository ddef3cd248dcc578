package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// Redis is what MINTKEEP_REDIS_URL says: where Redis is, and the credentials for it.
type Redis struct {
	Kind   RedisKind
	Addrs  []string // host:port
	Master string   // by its name at the Sentinels
	DB     int

	User, Password                 string
	SentinelUser, SentinelPassword string

	TLS *tls.Config // nil: plain
}

// RedisKind is how Redis is deployed.
type RedisKind int

// The kinds of Redis.
const (
	Standalone RedisKind = iota
	Sentinel
	Cluster
)

var redisSchemes = []string{"redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}

func redisURL(s string) (Secret, error) {
	_, err := ParseRedisURL(s)
	return Secret(s), err
}

// ParseRedisURL reads a Redis URL:
//
//	redis://[[user]:password@]host[:port][/db]       one server
//	redis+sentinel://[…@]host[:port],…/master        a primary that Sentinels name; ?db=
//	redis+cluster://[…@]host[:port],…                a cluster, found by any of its nodes
//
// and the same with rediss for TLS. It reads the file of the option ca.
//
// Its errors quote nothing of the URL: a password that was not percent-encoded may have landed in any part of it. For the
// same reason no error of net/url is passed on. And net/url alone would not do, for it knows one host, not a list.
func ParseRedisURL(raw string) (Redis, error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(raw), "://")
	scheme = strings.ToLower(scheme)
	if _, err := oneOf(redisSchemes...)(scheme); !ok || err != nil {
		return Redis{}, errors.New("must begin with " + strings.Join(redisSchemes, "://, ") + "://")
	}
	var r Redis
	transport, kind, _ := strings.Cut(scheme, "+")
	if transport == "rediss" {
		r.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	switch kind {
	case "sentinel":
		r.Kind = Sentinel
	case "cluster":
		r.Kind = Cluster
	}
	err := r.parse(rest)
	return r, err
}

func (r *Redis) parse(rest string) (err error) {
	userinfo, hosts, tail := splitRedisURL(rest)
	if r.Addrs, err = r.parseHosts(hosts); err != nil {
		return err
	}
	u, err := url.Parse("redis://" + userinfo + "hosts" + tail)
	if err != nil || u.Fragment != "" || strings.ContainsAny(userinfo, "/?#") || strings.Contains(tail, "@") {
		return errors.New("is not a URL; percent-encode special characters in the password (/ is %2F, @ is %40, # is %23)")
	}
	r.User = u.User.Username()
	r.Password, _ = u.User.Password()
	if r.User != "" && r.Password == "" {
		return errors.New("has a user without a password; to give only a password, write :password@")
	}
	if err := r.parsePath(strings.TrimPrefix(u.Path, "/")); err != nil {
		return err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("has a malformed query")
	}
	return r.parseQuery(query)
}

// splitRedisURL finds the hosts, which are before the path and after the last @, whatever is in the password.
func splitRedisURL(rest string) (userinfo, hosts, tail string) {
	hosts = rest
	if i := strings.IndexByte(hosts, '/'); i >= 0 {
		hosts, tail = hosts[:i], hosts[i:]
	}
	if i := strings.LastIndexByte(hosts, '@'); i >= 0 {
		userinfo, hosts = hosts[:i+1], hosts[i+1:]
	}
	if i := strings.IndexAny(hosts, "?#"); i >= 0 {
		hosts, tail = hosts[:i], hosts[i:]+tail
	}
	return userinfo, hosts, tail
}

// parseHosts reads host[:port],…; the default port is Redis's own, or the Sentinels'.
func (r *Redis) parseHosts(hosts string) ([]string, error) {
	port := "6379"
	if r.Kind == Sentinel {
		port = "26379"
	}
	var addrs []string
	for h := range strings.SplitSeq(hosts, ",") {
		u, err := url.Parse("redis://" + strings.TrimSpace(h))
		if err != nil || u.Hostname() == "" || u.Host != strings.TrimSpace(h) {
			return nil, errors.New("must contain a host; in the password, write / as %2F, ? as %3F and @ as %40")
		}
		p := u.Port()
		if p == "" {
			p = port
		}
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has a port outside 1 to 65535")
		}
		addrs = append(addrs, net.JoinHostPort(u.Hostname(), p))
	}
	if r.Kind == Standalone && len(addrs) > 1 {
		return nil, errors.New("has several hosts: use redis+cluster:// or redis+sentinel://")
	}
	return addrs, nil
}

// parsePath reads what the kind of Redis has behind the hosts.
func (r *Redis) parsePath(path string) error {
	switch {
	case r.Kind == Sentinel && path == "":
		return errors.New("must end with the name of the master, as in redis+sentinel://h1,h2/master")
	case r.Kind == Sentinel && strings.Contains(path, "/"):
		return errors.New("must end with one name, /mymaster: the name of the master at the Sentinels")
	case r.Kind == Sentinel:
		r.Master = path
	case r.Kind == Cluster && path != "" && path != "0": // a cluster has database 0 and no other
		return errors.New("must not contain a database: a cluster has only one")
	case r.Kind == Standalone && path != "":
		return r.parseDB(path)
	}
	return nil
}

func (r *Redis) parseDB(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return errors.New("has a database that is not a number")
	}
	r.DB = int(n)
	return nil
}

// parseQuery reads the options. There is none to skip the verification of a certificate: a private
// authority is named by ca, a certificate for another name by server_name.
func (r *Redis) parseQuery(query url.Values) error {
	for name, values := range query {
		if len(values) > 1 {
			return errors.New("has an option twice")
		}
		v, err := values[0], error(nil)
		switch {
		case name == "db" && r.Kind != Cluster:
			err = r.parseDB(v)
		case name == "sentinel_username" && r.Kind == Sentinel:
			r.SentinelUser = v
		case name == "sentinel_password" && r.Kind == Sentinel:
			r.SentinelPassword = v
		case name == "ca" && r.TLS != nil:
			r.TLS.RootCAs, err = loadCA(v)
		case name == "server_name" && r.TLS != nil:
			r.TLS.ServerName = v
		default:
			err = errors.New("has an unknown option, or one that does not apply to this kind of URL; valid are db (not for a cluster), " +
				"sentinel_username and sentinel_password (for Sentinels), ca and server_name (with TLS)")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func loadCA(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.New("has an option ca whose file cannot be read")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("has an option ca whose file contains no PEM certificate")
	}
	return pool, nil
}

// hasPassword is whether a Redis URL may carry a password, in its user part or
// in a parameter. When in doubt, it may.
func hasPassword(s string) bool {
	if at := strings.LastIndex(s, "@"); at >= 0 {
		_, user, ok := strings.Cut(s[:at], "://")
		return !ok || strings.Contains(user, ":")
	}
	return strings.Contains(strings.ToLower(s), "password")
}
