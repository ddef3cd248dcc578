package redisdb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// SentinelVerdict is what one Sentinel says of the others: whether they are enough to see that the primary is gone, and
// to agree on another.
type SentinelVerdict struct {
	Addr string
	Says string // in its own words
	Err  error  // it does not answer, or says no
}

// ServerCertificate is the certificate that a server of Redis, or a Sentinel, presents.
type ServerCertificate struct {
	Addr  string
	Chain []*x509.Certificate // its own first; not verified here
	Err   error
}

// askSentinels asks each that the URL names, all at once.
func (db *DB) askSentinels(ctx context.Context) []SentinelVerdict {
	if db.target.kind != sentinel {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	verdicts := make([]SentinelVerdict, len(db.target.addrs))
	var wg sync.WaitGroup
	for i, addr := range db.target.addrs {
		wg.Go(func() { verdicts[i] = db.askSentinel(ctx, addr) })
	}
	wg.Wait()
	return verdicts
}

func (db *DB) askSentinel(ctx context.Context, addr string) SentinelVerdict {
	o := clientOptions().Simple()
	o.Addr, o.TLSConfig = addr, db.target.tls
	o.Username, o.Password = db.target.sentinelUser, db.target.sentinelPassword
	c := redis.NewSentinelClient(o)
	defer c.Close()
	says, err := c.CkQuorum(ctx, db.target.master).Result()
	return SentinelVerdict{Addr: addr, Says: says, Err: Unavailable("sentinel", err)}
}

// certificates fetches the certificate of each address of the URL, all at once. It sends no command.
func (db *DB) certificates(ctx context.Context) []ServerCertificate {
	if db.target.tls == nil {
		return nil
	}
	presented := make([]ServerCertificate, len(db.target.addrs))
	var wg sync.WaitGroup
	for i, addr := range db.target.addrs {
		wg.Go(func() {
			chain, err := presentedBy(ctx, addr, db.target.tls)
			presented[i] = ServerCertificate{Addr: addr, Chain: chain, Err: Unavailable("tls", err)}
		})
	}
	wg.Wait()
	return presented
}

func presentedBy(ctx context.Context, addr string, settings *tls.Config) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	settings = settings.Clone()
	if settings.ServerName == "" {
		settings.ServerName, _, _ = net.SplitHostPort(addr)
	}
	settings.InsecureSkipVerify = true // it is looked at, expired or not, and not trusted
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: settings}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates, nil
}
