package store

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

// A dial for which there is no descriptor gets some from the reserve, and no caller is served meanwhile.
func TestReserveDial(t *testing.T) {
	s := newSpare()
	defer s.close()
	if !s.Admit() {
		t.Fatal("nothing is missing, and nobody is admitted")
	}
	dials := 0
	conn, err := s.dialer(func(context.Context, string, string) (net.Conn, error) {
		if dials++; dials == 1 {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		if got, want := len(s.files), spareFiles-spareForDial; got != want {
			t.Errorf("%d are spare during the dial, want %d", got, want)
		}
		if s.Admit() {
			t.Error("a caller is served with what was given up for Redis")
		}
		return &net.TCPConn{}, nil
	})(t.Context(), "tcp", "redis:6379")
	if dials != 2 || err != nil || conn == nil {
		t.Errorf("%d dials: %v", dials, err)
	}
	_ = s.TakeBack(&net.TCPConn{}) // from the caller
	if got := len(s.files); got != spareFiles || !s.Admit() {
		t.Errorf("%d are spare after it, want %d", got, spareFiles)
	}
}

// Callers and Redis each have a share of the reserve, whatever each has got already.
func TestReserveShares(t *testing.T) {
	for _, test := range []struct {
		files, lent int
		release     bool
		forDial     int
	}{
		{spareFiles, 0, true, spareForDial},
		{spareFiles - spareForCallers, spareForCallers, false, spareForDial},
		{spareFiles - spareForCallers + 1, spareForCallers - 1, true, spareForDial},
		{spareForCallers, 0, true, 0},
		{spareForCallers + 1, 0, true, 1},
		{1, spareForCallers, false, 1},
		{1, spareForCallers - 1, true, 0},
		{0, spareForCallers - 1, false, 0},
		{0, spareFiles, false, 0},
	} {
		t.Run(fmt.Sprintf("%d spare, %d lent", test.files, test.lent), func(t *testing.T) {
			with := func() *Spare {
				s := newSpare()
				s.open()
				t.Cleanup(s.close)
				for len(s.files) > test.files {
					s.drop()
				}
				s.lent = test.lent
				return s
			}
			if got := with().release(); got != test.release {
				t.Errorf("one is released for a caller: %v, want %v", got, test.release)
			}
			if got := with().forDial(syscall.EMFILE); got != test.forDial {
				t.Errorf("%d are given up for a dial, want %d", got, test.forDial)
			}
		})
	}
}

// A connection to Redis that uses a caller's descriptor is closed when callers have no more than their share.
func TestReserveKeep(t *testing.T) {
	none, some := func() (*os.File, error) { return nil, syscall.EMFILE }, newSpare().fresh
	for _, test := range []struct {
		files   int
		serving bool
		fresh   func() (*os.File, error)
		want    error
	}{
		{spareFiles, true, none, nil},
		{spareForCallers, true, none, nil},
		{spareForCallers - 1, true, none, syscall.EMFILE},
		{spareForCallers - 1, false, none, nil},
		{spareForCallers - 1, true, some, nil},
	} {
		s := newSpare()
		s.open()
		defer s.close()
		for len(s.files) > test.files {
			s.drop()
		}
		s.serving, s.fresh = test.serving, test.fresh
		ours, theirs := net.Pipe()
		defer theirs.Close()
		_, err := s.dialer(func(context.Context, string, string) (net.Conn, error) { return ours, nil })(t.Context(), "tcp", "redis:6379")
		if !errors.Is(err, test.want) || errors.Is(ours.SetDeadline(time.Time{}), io.ErrClosedPipe) != (err != nil) {
			t.Errorf("%d spare, serving %v: %v", test.files, test.serving, err)
		}
	}
}

// A caller whose connection closes after the store leaves nothing open.
func TestReserveAfterClose(t *testing.T) {
	st, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := st.Spare()
	s.Admit()
	s.lent++
	_ = st.Close()
	_ = s.TakeBack(&net.TCPConn{})
	if !s.Admit() || s.forDial(syscall.EMFILE) != 0 || len(s.files) != 0 {
		t.Errorf("%d spare files are open", len(s.files))
	}
}

func TestOutOfFiles(t *testing.T) {
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
		if got := OutOfFiles(test.err); got != test.want {
			t.Errorf("%v: got %v", test.err, got)
		}
	}
}
