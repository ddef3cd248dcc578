package load

import (
	"net"
	"testing"
	"time"
)

// distant is an address at which target answers as late as if it were far away. All of the round trip is on the way
// back: Go sleeps whole milliseconds and a little, so that two halves of one would take two.
func distant(tb testing.TB, target string, d time.Duration) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				_ = near.Close()
				continue
			}
			go carry(far, near, 0)
			go carry(near, far, d)
		}
	}()
	return listener.Addr().String()
}

// carry passes what it reads to the other side, each piece d after it came, however many are under way.
func carry(to, from net.Conn, d time.Duration) {
	type piece struct {
		due  time.Time
		data []byte
	}
	way := make(chan piece, 1024)
	go func() {
		defer to.Close()
		for p := range way {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.data) // the reader of the other side notices that it is gone
		}
	}()
	defer close(way)
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		way <- piece{time.Now().Add(d), append([]byte(nil), buffer[:n]...)}
	}
}
