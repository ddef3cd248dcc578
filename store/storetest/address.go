package storetest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreeAddr is an address of this machine at which nothing listens. No other test gets it before this one is over, so the
// servers of the test may listen there, stop and come again.
func FreeAddr(t testing.TB) string {
	t.Helper()
	p, err := reservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.release)
	return p.addr()
}

// port is a TCP port of 127.0.0.1 that is reserved for one test.
type port struct {
	number int
	claim  net.PacketConn
}

// The system gives ports from 32768 on to programs that ask for any, and to outgoing connections: a test cannot rely on those.
// The claim to a port is the UDP port that is as many below it: of all processes one can have it, and it ends with the process.
const (
	firstPort = 20_000
	ports     = 10_000
)

func reservePort() (port, error) {
	for range 1000 {
		p := port{number: firstPort + rand.IntN(ports)}
		var err error
		if p.claim, err = net.ListenPacket("udp", loopback(p.number-ports)); err != nil {
			continue
		}
		listener, err := net.Listen("tcp", p.addr())
		if err != nil {
			p.release()
			continue
		}
		return p, listener.Close()
	}
	return port{}, errors.New("no free port found")
}

func (p port) addr() string { return loopback(p.number) }

func (p port) release() {
	if p.claim != nil {
		_ = p.claim.Close()
	}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
