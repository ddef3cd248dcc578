package redisdb

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// target is what a URL says: where Redis is, and how to be let in.
type target struct {
	kind   kind
	addrs  []string // host:port
	master string   // of Sentinels
	db     int

	user, password                 string
	sentinelUser, sentinelPassword string

	tls *tls.Config // nil: plain
}

type kind int

const (
	standalone kind = iota
	sentinel
	cluster
)

// schemes are the forms of the setting, each with an example for the error message.
var schemes = map[string]struct {
	kind    kind
	tls     bool
	example string
}{
	"redis":           {standalone, false, "redis://user:password@redis.internal:6379/0"},
	"rediss":          {standalone, true, "rediss://user:password@redis.internal:6379/0"},
	"redis+sentinel":  {sentinel, false, "redis+sentinel://:password@s1:26379,s2:26379,s3:26379/mymaster"},
	"rediss+sentinel": {sentinel, true, "rediss+sentinel://:password@s1:26379,s2:26379,s3:26379/mymaster"},
	"redis+cluster":   {cluster, false, "redis+cluster://:password@n1:6379,n2:6379"},
	"rediss+cluster":  {cluster, true, "rediss+cluster://:password@n1:6379,n2:6379"},
}

// parseURL reads MINTKEEP_REDIS_URL.
//
// Its errors name the setting, the fault and an example, and quote nothing of the value: a password
// that was not percent-encoded may have landed in any part of it. For the same reason no error of
// net/url is passed on. And net/url alone would not do, for it knows one host, not a list.
func parseURL(raw string) (target, error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(raw), "://")
	form, known := schemes[strings.ToLower(scheme)]
	if !ok || !known {
		return target{}, urlError("must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, "+
			"redis+cluster:// or rediss+cluster://", schemes["redis"].example)
	}
	t := target{kind: form.kind}
	if form.tls {
		t.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if err := t.parse(rest); err != nil {
		return target{}, urlError(err.Error(), form.example)
	}
	return t, nil
}

func urlError(fault, example string) error {
	return fmt.Errorf("MINTKEEP_REDIS_URL: %s; for example %s", fault, example)
}

func (t *target) parse(rest string) error {
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	userinfo, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		userinfo, hosts = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse("redis://" + userinfo + "hosts" + tail)
	if err != nil || u.Fragment != "" || strings.Contains(tail, "@") {
		return errors.New("is not a URL; percent-encode special characters in the password (/ is %2F, @ is %40, # is %23)")
	}
	if t.addrs, err = parseHosts(hosts, t.kind); err != nil {
		return err
	}
	t.user = u.User.Username()
	t.password, _ = u.User.Password()
	if t.user != "" && t.password == "" {
		return errors.New("has a user without a password; a password alone is written :password@")
	}
	if err := t.parsePath(strings.TrimPrefix(u.Path, "/")); err != nil {
		return err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("has a malformed query")
	}
	return t.parseQuery(query)
}

// parseHosts reads host[:port],…; the port is Redis's own, or the Sentinels'.
func parseHosts(hosts string, k kind) ([]string, error) {
	port := "6379"
	if k == sentinel {
		port = "26379"
	}
	var addrs []string
	for h := range strings.SplitSeq(hosts, ",") {
		u, err := url.Parse("redis://" + strings.TrimSpace(h))
		if err != nil || u.Hostname() == "" || u.Host != strings.TrimSpace(h) {
			return nil, errors.New("must name a host, or host:port")
		}
		p := u.Port()
		if p == "" {
			p = port
		}
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has a port that is not within 1 to 65535")
		}
		addrs = append(addrs, net.JoinHostPort(u.Hostname(), p))
	}
	if k == standalone && len(addrs) > 1 {
		return nil, errors.New("names several hosts, which takes redis+cluster:// or redis+sentinel://")
	}
	return addrs, nil
}

// parsePath reads what the kind of Redis has behind the hosts.
func (t *target) parsePath(path string) error {
	switch t.kind {
	case sentinel:
		if path == "" || strings.Contains(path, "/") {
			return errors.New("must end with the master's name as the Sentinels know it, /mymaster")
		}
		t.master = path
	case cluster:
		// A cluster has database 0 and no other.
		if path != "" && path != "0" {
			return errors.New("must not name a database: a cluster has only one")
		}
	case standalone:
		if path != "" {
			return t.parseDB(path)
		}
	}
	return nil
}

func (t *target) parseDB(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return errors.New("has a database that is not a number")
	}
	t.db = int(n)
	return nil
}

// parseQuery reads the options. There is none to skip the verification of a certificate: a private
// authority is named by ca, a certificate for another name by server_name.
func (t *target) parseQuery(query url.Values) error {
	for name, values := range query {
		if len(values) > 1 {
			return errors.New("has an option twice")
		}
		v, err := values[0], error(nil)
		switch {
		case name == "db" && t.kind != cluster:
			err = t.parseDB(v)
		case name == "sentinel_username" && t.kind == sentinel:
			t.sentinelUser = v
		case name == "sentinel_password" && t.kind == sentinel:
			t.sentinelPassword = v
		case name == "ca" && t.tls != nil:
			t.tls.RootCAs, err = loadCA(v)
		case name == "server_name" && t.tls != nil:
			t.tls.ServerName = v
		default:
			err = errors.New("has an option that is unknown, or not for this kind of URL; there are db (not for a cluster), " +
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
		return nil, errors.New("has an option ca that names no readable file")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("has an option ca whose file holds no PEM certificate")
	}
	return pool, nil
}
