package redisdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestUnavailable(t *testing.T) {
	for _, cause := range []error{
		context.DeadlineExceeded,
		context.Canceled,
		io.EOF,
		&net.OpError{Op: "dial", Err: errors.New("connection refused")},
		redis.ErrPoolTimeout,
		redis.ErrClosed,
		errors.New("LOADING Redis is loading the dataset in memory"),
		errors.New("READONLY You can't write against a read only replica."),
		errors.New("OOM command not allowed when used memory > 'maxmemory'."),
		errors.New("MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist on disk."),
		errors.New("NOREPLICAS Not enough good replicas to write."),
		errors.New("BUSY Redis is busy running a script."),
		errors.New("CLUSTERDOWN The cluster is down"),
		errors.New("NOAUTH Authentication required."),
		errors.New("something that Redis will learn to say"),
	} {
		err := Unavailable("save token", fmt.Errorf("wrapped: %w", cause))
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("Unavailable(%v) = %v, want ErrUnavailable", cause, err)
		}
		if !errors.Is(err, cause) {
			t.Errorf("Unavailable(%v) lost its cause", cause)
		}
		if want := "save token: store unavailable: wrapped: " + cause.Error(); err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

func TestUnavailableQuotesNoArguments(t *testing.T) {
	cause := errors.New("ERR unknown command `HELLO`, with args beginning with: `2`, `AUTH`, `default`, `hunter2`, ")
	if got := Unavailable("ping", cause).Error(); strings.Contains(got, "hunter2") {
		t.Errorf("the password is in %q", got)
	}
}

// Of several parts the error tells what holds of all of them: nothing was applied only if nothing was sent.
func TestMostSevere(t *testing.T) {
	unsent, other := Unavailable("revoke", Unsent(errOverloaded)), Unavailable("revoke", io.EOF)
	unconfirmed := fmt.Errorf("revoke: %w", ErrUnconfirmed)
	for name, test := range map[string]struct {
		errs         []error
		failed, sent bool
	}{
		"all applied":                 {[]error{nil, nil}, false, true},
		"one not confirmed":           {[]error{nil, unconfirmed}, false, true},
		"none sent":                   {[]error{unsent, unsent}, true, false},
		"one applied, one not sent":   {[]error{unsent, nil}, true, true},
		"one not confirmed, likewise": {[]error{unconfirmed, unsent}, true, true},
		"one without an answer":       {[]error{unsent, other}, true, true},
	} {
		err := MostSevere(test.errs...)
		if Failed(err) != test.failed || IsUnsent(err) == test.sent {
			t.Errorf("%s: failed %v, unsent %v: %v", name, Failed(err), IsUnsent(err), err)
		}
		if test.failed && (!errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnconfirmed)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
