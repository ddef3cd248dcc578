package redisdb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// scripted is a server that speaks the protocol of Redis and answers by a table. It records what each connection was sent.
type scripted struct {
	mu      sync.Mutex
	answers map[string]string // by the name of the command, in capitals; else +OK
	lines   [][]string        // of each connection
}

func (s *scripted) answer(command, with string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[command] = with
}

// before is what stood right before each of these commands on its connection.
func (s *scripted) before(command string) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.lines {
		for i, sent := range line {
			if sent == command && i > 0 {
				list = append(list, line[i-1])
			}
		}
	}
	return list
}

// startScripted listens until the test is over, and returns the URL.
func startScripted(t *testing.T) (*scripted, string) {
	t.Helper()
	s := &scripted{answers: map[string]string{"HELLO": "-ERR unknown command"}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.lines = append(s.lines, nil)
			i := len(s.lines) - 1
			s.mu.Unlock()
			go s.serve(conn, i)
		}
	}()
	return s, "redis://" + listener.Addr().String()
}

func (s *scripted) serve(conn net.Conn, line int) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		words, err := readCommand(r)
		if err != nil {
			return
		}
		name := strings.ToUpper(words[0])
		s.mu.Lock()
		s.lines[line] = append(s.lines[line], name)
		answer, scripted := s.answers[name]
		s.mu.Unlock()
		if !scripted {
			answer = "+OK"
		}
		if _, err := io.WriteString(conn, answer+"\r\n"); err != nil {
			return
		}
	}
}

// readCommand reads an array of bulk strings.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readCount(r)
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size, err := readCount(r)
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		words[i] = string(word[:size])
	}
	return words, nil
}

func readCount(r *bufio.Reader) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

const (
	everysec   = "*6\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n$25\r\nno-appendfsync-on-rewrite\r\n$2\r\nno"
	forbidden  = "-NOPERM this user has no permissions to run the 'config|get' command"
	fsyncNeeds = "MINTKEEP_REVOKE_DURABILITY=fsync needs "
)

var always = strings.ReplaceAll(everysec, "$8\r\neverysec", "$6\r\nalways")

// deleteOne applies one deletion.
func deleteOne(t *testing.T, db *redisdb.DB) error {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return db.Apply(ctx, "delete", []*redis.IntCmd{redis.NewIntCmd(ctx, "del", "x")})
}

// fsync holds where CONFIG GET shows appendfsync always, behind each deletion on its connection.
func TestFsyncNeedsAppendfsyncAlways(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, config string
		check        string // what CheckDurability says, after fsyncNeeds; empty: nothing is missing
		deletion     error
	}{
		{"always", always, "", nil},
		{"every second", everysec, "appendonly yes and appendfsync always, and this Redis has appendfsync everysec: CONFIG SET appendfsync always, and write it to redis.conf", redisdb.ErrUnconfirmed},
		{"CONFIG is forbidden", forbidden, "the right to CONFIG GET, and this Redis denies it: ACL SETUSER default +config|get", redisdb.ErrUnconfirmed},
		{"CONFIG is gone", "-ERR unknown command 'CONFIG'", "to see appendonly and appendfsync, and this Redis rejects CONFIG GET: set it to replicas:N or ack, or use another Redis", redisdb.ErrUnconfirmed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, url := startScripted(t)
			server.answer("DEL", ":1")
			server.answer("CONFIG", tt.config)
			db := open(t, redisdb.Options{URL: url, Durability: config.Durability{Fsync: true}})
			err := db.CheckDurability(t.Context())
			if got := fmt.Sprint(err); tt.check == "" && err != nil || tt.check != "" && (got != fsyncNeeds+tt.check || !errors.Is(err, redisdb.ErrDurability)) {
				t.Errorf("the check says %q, want %q", got, tt.check)
			}
			if err := deleteOne(t, db); !errors.Is(err, tt.deletion) {
				t.Errorf("a deletion: %v, want %v", err, tt.deletion)
			}
			if before := server.before("CONFIG"); !slices.Contains(before, "DEL") {
				t.Errorf("CONFIG GET comes behind %q, want it behind the deletion", before)
			}
		})
	}
}

// The settings of Redis may change while this process runs.
func TestFsyncReadsTheSettingsEachTime(t *testing.T) {
	t.Parallel()
	server, url := startScripted(t)
	server.answer("DEL", ":1")
	db := open(t, redisdb.Options{URL: url, Durability: config.Durability{Fsync: true}})
	for _, tt := range []struct {
		config string
		want   error
	}{{always, nil}, {everysec, redisdb.ErrUnconfirmed}, {always, nil}} {
		server.answer("CONFIG", tt.config)
		if err := deleteOne(t, db); !errors.Is(err, tt.want) {
			t.Errorf("got %v, want %v", err, tt.want)
		}
	}
}
