package web

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

type rejected struct{}

// Rejecting marks the requests of a connection that server/fdreserve rejects. They are answered with 503, but for probes
// and documents. The log gets the cause.
func Rejecting(ctx context.Context, cause error) context.Context {
	return context.WithValue(ctx, rejected{}, cause)
}

var errOverloaded = errors.New("overloaded: more requests are queued than can be answered in time; add replicas or processors")

// noRoom is the answer to a request whose connection is rejected.
func noRoom(cause error) *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "Too many connections; try again in a moment",
		RetryAfter:  2 * time.Second,
		Cause:       cause,
	}
}

// overloaded is the answer to a request that was shed. Retry-After varies, so that not all come back at the same moment.
func overloaded() *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "The server is overloaded; try again in a moment",
		RetryAfter:  time.Duration(1+rand.IntN(2)) * time.Second, //nolint:gosec // no secret
		Cause:       errOverloaded,
	}
}
