package redisdb

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

func TestPipeWriteDoesNotWait(t *testing.T) {
	a, b := pipe()
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	for _, end := range []net.Conn{a, b} { // both at once, with no reader
		if n, err := end.Write(want); n != len(want) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	for _, end := range []net.Conn{a, b} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(end, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read: %v, equal %v", err, bytes.Equal(got, want))
		}
	}
}

func TestPipeKeepsNoLargeBuffer(t *testing.T) {
	a, b := pipe()
	_, _ = a.Write(make([]byte, 1<<20))
	if _, err := io.ReadFull(b, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if got := cap(b.(*pipeEnd).r.buf); got > keptBuffer {
		t.Errorf("an idle pipe holds %d bytes", got)
	}
}

func TestPipeDeadline(t *testing.T) {
	a, b := pipe()
	_ = a.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past deadline: %v", err)
	}
	var timeout net.Error
	_ = a.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if _, err := a.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("deadline while waiting: %v", err)
	}

	// A deadline that is set during a wait holds for that wait too.
	_ = a.SetReadDeadline(time.Time{})
	result := make(chan error)
	go func() {
		_, err := a.Read(make([]byte, 1))
		result <- err
	}()
	_ = a.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline set later: %v", err)
	}

	_ = a.SetReadDeadline(time.Now().Add(time.Minute))
	_, _ = b.Write([]byte("x"))
	if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("after the deadlines: %d, %v", n, err)
	}
}

func TestPipeClose(t *testing.T) {
	a, b := pipe()
	_, _ = a.Write([]byte("last words"))
	result := make(chan error)
	go func() {
		_, err := a.Read(make([]byte, 1))
		result <- err
	}()
	_ = a.Close()
	if err := <-result; err != io.EOF {
		t.Errorf("a read under way: %v, want EOF", err)
	}
	if got, err := io.ReadAll(b); string(got) != "last words" || err != nil {
		t.Errorf("the other end read %q, %v", got, err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write: %v", err)
	}
}

func TestPipeConcurrently(t *testing.T) {
	a, b := pipe()
	var wg sync.WaitGroup
	wg.Go(func() { // an echo
		_, _ = io.Copy(b, b)
		_ = b.Close()
	})
	for i := range 2000 {
		want := bytes.Repeat([]byte{byte(i)}, 1+i%100)
		_ = a.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := a.Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(a, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	_ = a.Close()
	wg.Wait()
}
