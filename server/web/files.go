package web

import (
	"context"
	"errors"
	"net/http"
	"time"
)

type withoutFiles struct{}

// WithoutFiles marks the requests of a connection for which the process has no file descriptor to spare. They are
// refused, but for probes and documents.
func WithoutFiles(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutFiles{}, true)
}

// errOutOfFiles is what the log has of them.
var errOutOfFiles = errors.New("out of file descriptors: there are more connections than the process may have files open; " +
	"raise the limit (ulimit -n, LimitNOFILE), or add replicas")

// outOfFiles is the answer to them.
func outOfFiles() *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "The server has more connections than it may have; try again in a moment",
		RetryAfter:  2 * time.Second,
		Cause:       errOutOfFiles,
	}
}
