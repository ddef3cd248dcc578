package fdreserve

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// from is a connection from an address.
type from struct {
	net.Conn
	address string
	closed  bool
}

func (f *from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(f.address), 40000))
}

func (f *from) Close() error {
	f.closed = true
	return nil
}

// table has room for 1,000 descriptors: a share of 125.
func table() *connections {
	var ticks time.Duration
	return &connections{
		// It is later by atRest each time that it is asked, so that every idle connection is at rest.
		now:   func() time.Time { ticks += atRest; return time.Unix(0, 0).Add(ticks) },
		limit: func() int { return 1000 }, open: map[net.Conn]*connection{}, from: map[netip.Prefix]*caller{},
	}
}

// exempt is an address without a limit.
func exempt(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.1") }

// fill adds n connections of an address, each with a request, and fails the test if one is rejected.
func (s *connections) fill(t *testing.T, address string, n int) (added []*from) {
	t.Helper()
	for range n {
		c := &from{address: address}
		if err := s.add(c, exempt); err != nil {
			t.Fatal(err)
		}
		s.changed(c, http.StateActive)
		added = append(added, c)
	}
	return added
}

// While half of the descriptors are in use, an address with its share gets no more connections, and others do.
func TestShareOfAddress(t *testing.T) {
	for _, test := range []struct{ crowd, same, other string }{
		{"192.0.2.1", "192.0.2.1", "192.0.2.2"},
		{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.0"},
		{"2001:db8::1", "2001:db8::ffff:0:0:2", "2001:db8:0:1::1"},
	} {
		s := table()
		crowd := s.fill(t, test.crowd, 500) // up to a half there is no bound
		err := s.add(&from{address: test.same}, exempt)
		if err == nil || !strings.Contains(err.Error(), "500 connections") || !strings.Contains(err.Error(), "MINTKEEP_TRUSTED_PROXIES") {
			t.Errorf("%s: over its share: %v", test.crowd, err)
		}
		s.fill(t, test.other, 125)
		if err := s.add(&from{address: test.other}, exempt); err == nil {
			t.Errorf("%s has more than an eighth", test.other)
		}
		s.fill(t, "10.0.0.1", 2000)
		for _, c := range crowd {
			s.changed(c, http.StateClosed)
		}
		s.fill(t, test.same, 125)
	}
}

// What an address has idle is closed before it is rejected, and nothing of others.
func TestShareOfAddressIdle(t *testing.T) {
	s := table()
	others, crowd := s.fill(t, "192.0.2.2", 1), s.fill(t, "192.0.2.1", 499)
	for _, c := range []*from{others[0], crowd[7], crowd[3], crowd[5]} {
		s.changed(c, http.StateIdle)
	}
	s.changed(crowd[3], http.StateActive)
	s.fill(t, "192.0.2.1", 2)
	if err := s.add(&from{address: "192.0.2.1"}, exempt); err == nil {
		t.Error("none is idle, and it gets another")
	}
	for i, c := range crowd {
		if c.closed != (i == 5 || i == 7) {
			t.Errorf("connection %d is closed: %v", i, c.closed)
		}
	}
	if others[0].closed {
		t.Error("another's connection was closed")
	}
}

// A caller that sends one request after another loses none of them because its connection is closed in between.
func TestNoConnectionInUseIsClosed(t *testing.T) {
	s := table()
	now := time.Unix(0, 0)
	s.now = func() time.Time { return now }
	crowd := s.fill(t, "192.0.2.1", 500)
	s.changed(crowd[0], http.StateIdle)
	now = now.Add(atRest - 1)
	if s.closeIdle() || s.add(&from{address: "192.0.2.1"}, exempt) == nil || crowd[0].closed {
		t.Error("a connection is closed that was in use a moment before")
	}
	now = now.Add(1)
	s.fill(t, "192.0.2.1", 1)
	if !crowd[0].closed {
		t.Error("a connection at rest is not closed for the next")
	}
}

// The connection that has been idle for the longest time is closed first.
func TestCloseIdle(t *testing.T) {
	s := table()
	conns := s.fill(t, "192.0.2.1", 4)
	if s.closeIdle() {
		t.Error("a connection with a request is closed")
	}
	for _, i := range []int{2, 0, 1} {
		s.changed(conns[i], http.StateIdle)
	}
	s.changed(conns[0], http.StateActive)
	s.changed(conns[0], http.StateIdle)
	var order []int
	for s.closeIdle() {
		for i, c := range conns {
			if c.closed {
				order, c.closed = append(order, i), false
				s.changed(c, http.StateClosed) // the server learns it later
			}
		}
	}
	if fmt.Sprint(order) != "[2 1 0]" {
		t.Errorf("closed in the order %v", order)
	}
	s.changed(conns[3], http.StateClosed)
	if len(s.open) != 0 || len(s.from) != 0 || s.idle.Len() != 0 {
		t.Errorf("left: %d open, %d addresses, %d idle", len(s.open), len(s.from), s.idle.Len())
	}
}
