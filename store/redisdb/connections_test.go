package redisdb_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// pieces is a connection from which one read returns at most size bytes, and never more than one line. So what Redis has
// answered stays in the socket, as it does when the answers come one by one.
type pieces struct {
	net.Conn
	size int
	rest []byte
}

func (c *pieces) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		buffer := make([]byte, 4<<10)
		n, err := c.Conn.Read(buffer)
		if err != nil {
			return 0, err
		}
		c.rest = buffer[:n]
	}
	n := min(len(b), len(c.rest), c.size)
	if end := bytes.IndexByte(c.rest[:n], '\n'); end >= 0 {
		n = end + 1
	}
	copy(b, c.rest[:n])
	c.rest = c.rest[n:]
	return n, nil
}

// No command gets the answer to another one when Redis rejects MULTI: it has answered what was sent behind it, and go-redis
// does not read that.
func TestRejectedMulti(t *testing.T) {
	for _, kind := range []string{"redis", "cluster"} {
		server := storetest.Redis
		if kind == "cluster" {
			server = storetest.Cluster
		}
		s := server(t)
		if _, err := s.Do("ACL", "SETUSER", "mk", "on", ">pw", "~*", "+@all", "-multi"); err != nil {
			t.Fatal(err)
		}
		url := strings.Replace(s.URL(), "://", "://mk:pw@", 1)
		for _, size := range []int{1, 4 << 10} {
			t.Run(fmt.Sprintf("%s in pieces of %d bytes", kind, size), func(t *testing.T) { rejectedMulti(t, url, size) })
		}
	}
}

func rejectedMulti(t *testing.T, url string, size int) {
	db := open(t, redisdb.Options{URL: url, Dial: func(next redisdb.DialFunc) redisdb.DialFunc {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := next(ctx, network, addr)
			return &pieces{Conn: conn, size: size}, err
		}
	}, Instrument: func(c redis.UniversalClient) { // a busy machine may take long to answer
		switch c := c.(type) {
		case *redis.Client:
			c.Options().ReadTimeout, c.Options().WriteTimeout = time.Minute, time.Minute
		case *redis.ClusterClient:
			c.Options().ReadTimeout, c.Options().WriteTimeout = time.Minute, time.Minute
		}
	}})
	ctx := t.Context()
	queue := func(p redis.Pipeliner) error {
		p.HSet(ctx, "{k}h", "f", 1)
		p.HSet(ctx, "{k}h", "g", strings.Repeat("x", 60<<10)) // more than one write
		return nil
	}
	// A SET is sent once: it would fail on a connection that was given up.
	ownAnswers := func(t *testing.T) {
		t.Helper()
		for i := range 5 {
			want := fmt.Sprint("value ", i)
			if got, err := db.Client.Do(ctx, "set", "{k}", want).Text(); err != nil || got != "OK" {
				t.Errorf("SET: got %q, %v", got, err)
			}
			if got, err := db.Client.Get(ctx, "{k}").Result(); err != nil || got != want {
				t.Errorf("GET: got %q, %v, want %q", got, err, want)
			}
		}
	}
	rejected := func(t *testing.T, err error) {
		t.Helper()
		if redisdb.ErrorPrefix(err) != "NOPERM" {
			t.Errorf("got %v, want what Redis has answered to MULTI", err)
		}
		ownAnswers(t)
	}
	t.Run("alone", func(t *testing.T) {
		_, err := db.Client.TxPipelined(ctx, queue)
		rejected(t, err)
	})
	t.Run("behind WATCH", func(t *testing.T) {
		rejected(t, db.Client.Watch(ctx, func(tx *redis.Tx) error {
			tx.HGetAll(ctx, "{k}nothing")
			_, err := tx.TxPipelined(ctx, queue)
			return err
		}, "{k}h"))
	})
	t.Run("and more on the same connection", func(t *testing.T) {
		rejected(t, db.Client.Watch(ctx, func(tx *redis.Tx) error {
			_, err := tx.TxPipelined(ctx, queue)
			if got, err := tx.Get(ctx, "{k}").Result(); err == nil && !strings.HasPrefix(got, "value") {
				t.Errorf("GET behind the transaction: got %q", got)
			}
			return err
		}, "{k}h"))
	})
}
