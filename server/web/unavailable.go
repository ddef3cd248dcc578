package web

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

type withoutFiles struct{}

// WithoutFiles marks the requests of a connection that has a descriptor of server/fdreserve. They are rejected, but for
// probes and documents.
func WithoutFiles(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutFiles{}, true)
}

// The causes that the log gets.
var (
	errOutOfFiles = errors.New("out of file descriptors: there are more connections than the process may have files open; " +
		"raise the limit (ulimit -n, LimitNOFILE), or add replicas")
	errOverloaded = errors.New("overloaded: more requests wait for a processor than can be answered in time; add replicas, or processors")
)

// outOfFiles is the answer to a request for whose connection there is no descriptor.
func outOfFiles() *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "The server has more connections than it may have; try again in a moment",
		RetryAfter:  2 * time.Second,
		Cause:       errOutOfFiles,
	}
}

// overloaded is the answer to a request that was shed. Retry-After varies, so that not all come back at the same moment.
func overloaded() *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "The server has more to do than it can; try again in a moment",
		RetryAfter:  time.Duration(1+rand.IntN(2)) * time.Second, //nolint:gosec // no secret
		Cause:       errOverloaded,
	}
}
