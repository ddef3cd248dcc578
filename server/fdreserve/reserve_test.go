package fdreserve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// A dial without a descriptor gets some of the reserve, and no caller is served meanwhile.
func TestReserveDial(t *testing.T) {
	r := New()
	defer r.Close()
	if !r.admit() {
		t.Fatal("nothing is missing, and the first caller is not admitted")
	}
	dials := 0
	conn, err := r.Dialer(func(context.Context, string, string) (net.Conn, error) {
		if dials++; dials == 1 {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		if got, want := len(r.files), size-perDial; got != want {
			t.Errorf("%d are in reserve during the dial, want %d", got, want)
		}
		if r.admit() {
			t.Error("a caller is served with what was given up for Redis")
		}
		return &net.TCPConn{}, nil
	})(t.Context(), "tcp", "redis:6379")
	if dials != 2 || err != nil || conn == nil {
		t.Errorf("%d dials: %v", dials, err)
	}
	_ = r.takeBack(&net.TCPConn{}) // from the caller
	if got := len(r.files); got != size || !r.admit() {
		t.Errorf("%d are in reserve after it, want %d", got, size)
	}
}

// Callers do not get what is for Redis, nor Redis what is for callers, whatever each has got already.
func TestReserveShares(t *testing.T) {
	for _, test := range []struct {
		files, lent int
		release     bool
		forDial     int
	}{
		{size, 0, true, perDial},
		{size - forCallers, forCallers, false, perDial},
		{size - forCallers + 1, forCallers - 1, true, perDial},
		{forCallers, 0, true, 0},
		{forCallers + 1, 0, true, 1},
		{1, forCallers, false, 1},
		{1, forCallers - 1, true, 0},
		{0, forCallers - 1, false, 0},
		{0, size, false, 0},
	} {
		t.Run(fmt.Sprintf("%d in reserve, %d lent", test.files, test.lent), func(t *testing.T) {
			with := func() *Reserve {
				r := New()
				r.open()
				t.Cleanup(r.Close)
				for len(r.files) > test.files {
					r.drop()
				}
				r.lent = test.lent
				return r
			}
			if got := with().tryRelease(); got != test.release {
				t.Errorf("one is released for a caller: %v, want %v", got, test.release)
			}
			if got := with().forDial(syscall.EMFILE); got != test.forDial {
				t.Errorf("%d are given up for a dial, want %d", got, test.forDial)
			}
		})
	}
}

// A connection to Redis that got what was given up for a caller is not kept when callers have no more than their share.
func TestReserveKeep(t *testing.T) {
	none, some := func() (*os.File, error) { return nil, syscall.EMFILE }, New().fresh
	for _, test := range []struct {
		files   int
		serving bool
		fresh   func() (*os.File, error)
		want    error
	}{
		{size, true, none, nil},
		{forCallers, true, none, nil},
		{forCallers - 1, true, none, syscall.EMFILE},
		{forCallers - 1, false, none, nil},
		{forCallers - 1, true, some, nil},
	} {
		r := New()
		r.open()
		defer r.Close()
		for len(r.files) > test.files {
			r.drop()
		}
		r.serving, r.fresh = test.serving, test.fresh
		ours, theirs := net.Pipe()
		defer theirs.Close()
		_, err := r.Dialer(func(context.Context, string, string) (net.Conn, error) { return ours, nil })(t.Context(), "tcp", "redis:6379")
		if !errors.Is(err, test.want) || errors.Is(ours.SetDeadline(time.Time{}), io.ErrClosedPipe) != (err != nil) {
			t.Errorf("%d in reserve, serving %v: %v", test.files, test.serving, err)
		}
	}
}

// A rejected connection that is closed after the reserve leaves nothing open.
func TestReserveAfterClose(t *testing.T) {
	r := New()
	r.admit()
	r.lent++
	r.Close()
	_ = r.takeBack(&net.TCPConn{})
	if !r.admit() || r.forDial(syscall.EMFILE) != 0 || len(r.files) != 0 {
		t.Errorf("%d files of the reserve are open", len(r.files))
	}
}

func TestExhausted(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("too many open files"), false},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, false},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, true},
		{&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.ENFILE)}, true},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "dial udp 10.0.0.10:53: socket: too many open files", Name: "redis"}}, true},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "redis"}}, false},
	} {
		if got := Exhausted(test.err); got != test.want {
			t.Errorf("%v: got %v", test.err, got)
		}
	}
}
