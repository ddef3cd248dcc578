package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mintkeep/mintkeep/store"
)

// scripted is a server that speaks the protocol of Redis and answers by a table, for commands that no Redis
// of Debian knows. It notes what each connection was sent.
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
	must(t, err)
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
	synced     = "*2\r\n:1\r\n:0"
	notSynced  = "*2\r\n:0\r\n:0"
	noSuch     = "-ERR unknown command 'waitaof', with args beginning with: '1' '0'"
	noLog      = "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
	forbidden  = "-NOPERM this user has no permissions to run the 'config|get' command"
	fsyncNeeds = "MINTKEEP_REVOKE_DURABILITY=fsync needs "
)

// TestFsyncByWaiting is fsync by WAITAOF, on a scripted server.
func TestFsyncByWaiting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, config, waitaof string
		check                 string // what CheckDurability says, after fsyncNeeds; empty: it is content
		end                   error
	}{
		{"synced", everysec, synced, "", nil},
		{"not synced in time", everysec, notSynced, "appendonly yes and appendfsync always, and this Redis has appendfsync everysec: CONFIG SET appendfsync always, and write it to redis.conf", store.ErrUnconfirmed},
		{"no such command", everysec, noSuch, "appendonly yes and appendfsync always, and this Redis has appendfsync everysec: CONFIG SET appendfsync always, and write it to redis.conf", store.ErrUnconfirmed},
		{"no log", everysec, noLog, "appendonly yes and appendfsync always, and this Redis has appendfsync everysec: CONFIG SET appendfsync always, and write it to redis.conf", store.ErrUnconfirmed},
		{"CONFIG is forbidden, and not missed", forbidden, synced, "", nil},
		{"CONFIG is forbidden, and missed", forbidden, noSuch, "the right to CONFIG GET, and this Redis refuses it: ACL SETUSER default +config|get", store.ErrUnconfirmed},
		{"CONFIG is gone, and missed", "-ERR unknown command 'CONFIG'", noSuch, "to see appendonly and appendfsync, and this Redis refuses CONFIG GET and has no WAITAOF: ask for replicas:N or ack, or for another Redis", store.ErrUnconfirmed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, url := startScripted(t)
			server.answer("PING", "+PONG")
			server.answer("DEL", ":1")
			server.answer("CONFIG", tt.config)
			server.answer("WAITAOF", tt.waitaof)
			s, err := store.Open(store.Options{URL: url, Durability: store.Durability{Fsync: true}})
			must(t, err)
			defer s.Close()
			err = s.CheckDurability(hurry(t))
			if got := fmt.Sprint(err); tt.check == "" && err != nil || tt.check != "" && (got != fsyncNeeds+tt.check || !errors.Is(err, store.ErrDurability)) {
				t.Errorf("the check says %q, want %q", got, tt.check)
			}
			for range 2 { // the second goes the way that the first found
				if err := s.RevokeToken(hurry(t), store.DigestOf("x"), store.Cause{}); !errors.Is(err, tt.end) {
					t.Errorf("an end: %v, want %v", err, tt.end)
				}
			}
			for _, sent := range server.before("WAITAOF") {
				if sent != "DEL" && sent != "PING" {
					t.Errorf("WAITAOF comes behind %s: it speaks of what was sent before it on its connection", sent)
				}
			}
		})
	}
}

// TestFsyncWayIsFoundAgain: what Redis can do may change while this process runs.
func TestFsyncWayIsFoundAgain(t *testing.T) {
	t.Parallel()
	server, url := startScripted(t)
	server.answer("DEL", ":1")
	server.answer("CONFIG", everysec)
	server.answer("WAITAOF", synced)
	s, err := store.Open(store.Options{URL: url, Durability: store.Durability{Fsync: true}})
	must(t, err)
	defer s.Close()
	must(t, s.RevokeToken(hurry(t), store.DigestOf("x"), store.Cause{})) // not checked before: found by the first revocation

	server.answer("WAITAOF", noLog)
	wantErr(t, "the log was switched off", s.RevokeToken(hurry(t), store.DigestOf("x"), store.Cause{}), store.ErrUnconfirmed)
	server.answer("CONFIG", strings.ReplaceAll(everysec, "$8\r\neverysec", "$6\r\nalways"))
	must(t, s.RevokeToken(hurry(t), store.DigestOf("x"), store.Cause{}))
}
