package storetest_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// connectTo makes a client that sends each command once, and gives up on an answer after patience; 0: after 5 s.
func connectTo(t *testing.T, addr string, patience time.Duration) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: addr, Protocol: 2, DisableIdentity: true, MaxRetries: -1, PipelinePoolSize: -1, ReadTimeout: patience,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A command is carried out when it is released, though its sender has closed the connection. Others pass meanwhile.
func TestLateCommand(t *testing.T) {
	server := storetest.Redis(t)
	p := storetest.NewLateProxy(t, server)
	ctx, addr := t.Context(), p.URL(server.Addr())
	held := p.Hold(storetest.Command("set", "late:"))
	sender := connectTo(t, addr, 50*time.Millisecond)
	if err := sender.Set(ctx, "late:1", "x", 0).Err(); err == nil {
		t.Fatal("a command that is held is answered")
	}
	held.Await()
	_ = sender.Close()

	other := connectTo(t, addr, 0)
	if err := other.Set(ctx, "late:2", "y", 0).Err(); err != nil {
		t.Errorf("the same command on another connection: %v", err)
	}
	if n := other.Del(ctx, "late:1", "late:2").Val(); n != 1 {
		t.Errorf("before the release %d of the 2 keys are there, want the second", n)
	}
	if !held.Release() {
		t.Error("the command was not delivered")
	}
	if got := other.Get(ctx, "late:1").Val(); got != "x" {
		t.Errorf("after the release: %q", got)
	}
}

// A transaction is one piece, and is held by any of its commands.
func TestLateTransaction(t *testing.T) {
	server := storetest.Redis(t)
	p := storetest.NewLateProxy(t, server)
	ctx := t.Context()
	held := p.Hold(storetest.Command("hset", "record"))
	sender := connectTo(t, p.URL(server.Addr()), 50*time.Millisecond)
	if err := sender.Watch(ctx, func(tx *redis.Tx) error {
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "first", "x", 0)
			p.HSet(ctx, "record", "f", "v")
			return nil
		})
		return err
	}, "record"); err == nil {
		t.Fatal("a transaction that is held is answered")
	}
	if got, _ := server.Do("EXISTS", "first", "record"); got != int64(0) {
		t.Errorf("%d keys are there before the release", got)
	}
	if !held.Release() {
		t.Error("the transaction was not delivered")
	}
	if got, _ := server.Do("EXISTS", "first", "record"); got != int64(2) {
		t.Errorf("%d of 2 keys are there after the release", got)
	}
}

// What follows on the connection waits behind a piece that is held.
func TestLateOrder(t *testing.T) {
	server := storetest.Redis(t)
	p := storetest.NewLateProxy(t, server)
	conn, err := net.Dial("tcp", p.URL(server.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	first, second := p.Hold(storetest.Command("append", "k")), p.Hold(storetest.Command("append", "k"))
	send := func(words ...string) {
		if _, err := conn.Write([]byte(strings.Join(words, "\r\n") + "\r\n")); err != nil {
			t.Error(err)
		}
	}
	send("*3", "$6", "APPEND", "$1", "k", "$1", "1")
	first.Await()
	send("*3", "$6", "APPEND", "$1", "k", "$1", "2")
	_ = conn.Close()
	for i, h := range []*storetest.Held{first, second} {
		h.Await()
		want := []string{"", "1", "12"}
		if got := server.Client().Get(t.Context(), "k").Val(); got != want[i] {
			t.Errorf("before release %d: %q, want %q", i+1, got, want[i])
		}
		if !h.Release() {
			t.Errorf("piece %d was not delivered", i+1)
		}
		if got := server.Client().Get(t.Context(), "k").Val(); got != want[i+1] {
			t.Errorf("after release %d: %q, want %q", i+1, got, want[i+1])
		}
	}
}

// The server has carried out a command whose answer is held.
func TestLateAnswer(t *testing.T) {
	server := storetest.Redis(t)
	p := storetest.NewLateProxy(t, server)
	held := p.HoldAnswer(storetest.Command("incr", "n"))
	answered := make(chan error, 1)
	go func() {
		answered <- connectTo(t, p.URL(server.Addr()), 0).Incr(context.Background(), "n").Err()
	}()
	held.Await()
	if got, _ := server.Do("GET", "n"); got != "1" {
		t.Errorf("while the answer is held: %v", got)
	}
	select {
	case err := <-answered:
		t.Errorf("an answer that is held has come: %v", err)
	default:
	}
	if !held.Release() {
		t.Error("the answer was not delivered")
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// A piece whose connection the server has closed is lost.
func TestLateKilled(t *testing.T) {
	server := storetest.Redis(t)
	p := storetest.NewLateProxy(t, server)
	ctx := context.Background()
	held := p.Hold(storetest.Command("", "k"))
	sender := connectTo(t, p.URL(server.Addr()), 0).Conn()
	defer sender.Close()
	id := sender.ClientID(ctx).Val()
	answered := make(chan error, 1)
	go func() { answered <- sender.Set(ctx, "k", "x", 0).Err() }()
	held.Await()
	if got, err := server.Do("CLIENT", "KILL", "ID", id); got != int64(1) {
		t.Fatalf("CLIENT KILL of the connection: %v %v", got, err)
	}
	if held.Release() {
		t.Error("the command was delivered")
	}
	if err := <-answered; err == nil {
		t.Error("a command that is lost is answered")
	}
	if got, _ := server.Do("EXISTS", "k"); got != int64(0) {
		t.Error("a command that is lost was carried out")
	}
}

func TestLateNotNeeded(t *testing.T) {
	server := storetest.Redis(t)
	p := storetest.NewLateProxy(t, server)
	for _, h := range []*storetest.Held{p.Hold(storetest.Command("set", "k")), p.HoldAnswer(storetest.Command("set", "k"))} {
		if h.Release() {
			t.Error("a piece that has not come was delivered")
		}
	}
	if err := connectTo(t, p.URL(server.Addr()), 0).Set(t.Context(), "k", "x", 0).Err(); err != nil {
		t.Errorf("a hold that was given up: %v", err)
	}
}

// All of a store goes through the proxy, though Sentinels and clusters announce addresses.
func TestLateTopologies(t *testing.T) {
	for name, start := range map[string]func(*testing.T) (url string, p *storetest.LateProxy){
		"sentinels": func(t *testing.T) (string, *storetest.LateProxy) {
			w := storetest.Sentinels(t)
			return w.URL(), storetest.NewLateProxy(t, append(w.Sentinels[:], w.Primary, w.Replica)...)
		},
		"cluster of one": func(t *testing.T) (string, *storetest.LateProxy) {
			s := storetest.Cluster(t)
			return s.URL(), storetest.NewLateProxy(t, s)
		},
		"cluster of six": func(t *testing.T) (string, *storetest.LateProxy) {
			n := storetest.SixNodes(t)
			return n.URL(), storetest.NewLateProxy(t, n.All()...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, p := start(t)
			s, err := store.Open(store.Options{URL: p.URL(url)})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for i := range 12 { // with six nodes, some on each primary
				token := store.Digest{byte(i)}
				held := p.Hold(storetest.Command("set", "mk:t:"))
				saved := make(chan error, 1)
				go func() {
					saved <- s.SaveToken(context.Background(), token, store.Credential{Generation: store.Generation{1}}, time.Now().Add(time.Hour), nil)
				}()
				held.Await()
				if !held.Release() {
					t.Error("the token was not delivered")
				}
				if err := <-saved; err != nil {
					t.Error(err)
				}
				if _, err := s.Credential(t.Context(), token); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
