package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// Error is an answer that is not a success. Status, Code and Description are what the caller sees;
// Cause is for the log alone.
type Error struct {
	Status      int
	Code        string // a code of RFC 6749 §5.2, RFC 6750 §3.1 or Mintkeep's own
	Description string // for the user who must act; never a secret, never a cause
	Challenge   string // WWW-Authenticate, where there is one
	RetryAfter  time.Duration
	Cause       error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Description, e.Cause)
	}
	return e.Code + ": " + e.Description
}

func (e *Error) Unwrap() error { return e.Cause }

// InvalidRequest is the 400 for what does not follow the protocol.
func InvalidRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: fmt.Sprintf(format, args...)}
}

// NotFound is the 404 for a resource, or a route, that does not exist.
func NotFound(what string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "not_found", Description: what + " not found"}
}

// Conflict is the 409 for a change that the present state does not allow.
func Conflict(format string, args ...any) *Error {
	return &Error{Status: http.StatusConflict, Code: "conflict", Description: fmt.Sprintf(format, args...)}
}

// PreconditionFailed is the 412 for a change of what is not any more as the caller has read it (RFC 9110 §15.5.13).
func PreconditionFailed() *Error {
	return &Error{
		Status: http.StatusPreconditionFailed, Code: "precondition_failed",
		Description: "If-Match: it was changed since you read it; read it again and retry",
	}
}

// TooManyRequests is the 429 after too many failures, or too many calls. retryAfter is raised to at least 1 s.
func TooManyRequests(retryAfter time.Duration) *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Code: "too_many_requests",
		Description: "Too many requests; try again later", RetryAfter: max(retryAfter, time.Second),
	}
}

// unavailableRetry is what a caller is asked to wait when the store does not answer.
const unavailableRetry = 2 * time.Second

// answer is what the caller sees of err: the one table of the errors that no handler named.
func answer(err error) *Error {
	var named *Error
	switch {
	case errors.As(err, &named):
		return named
	case errors.Is(err, store.ErrUnconfirmed):
		return &Error{
			Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
			Description: "Applied, but its durability could not be confirmed; retry until it succeeds",
			RetryAfter:  unavailableRetry, Cause: err,
		}
	case errors.Is(err, store.ErrUnavailable):
		return &Error{
			Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
			Description: "Temporarily unavailable; try again later",
			RetryAfter:  retryAfter(err), Cause: err,
		}
	case errors.Is(err, store.ErrNotFound):
		return NotFound("Resource")
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrExists):
		return Conflict("Another request changed it at the same time; read it again and retry")
	default:
		return &Error{Status: http.StatusInternalServerError, Code: "server_error", Cause: err}
	}
}

// retryAfter is when err says that a retry may succeed.
func retryAfter(err error) time.Duration {
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		return max(later.RetryAfter(), time.Second)
	}
	return unavailableRetry
}

// headers sets what belongs to e in every form of answer.
func (e *Error) headers(h http.Header) {
	if e.Challenge != "" {
		h.Set("WWW-Authenticate", e.Challenge)
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
}

// SetHeaders sets what belongs to e, for a page that is not the one of errors.
func (e *Error) SetHeaders(w http.ResponseWriter) { e.headers(w.Header()) }

// Words are the description, for the user who must act. requestID is named in the one answer that only the operator
// can act on.
func (e *Error) Words(requestID string) string {
	if e.Status == http.StatusInternalServerError {
		return "Internal error; the server's log has the details under request " + requestID
	}
	return e.Description
}

// write renders e in JSON.
func (e *Error) write(w http.ResponseWriter, requestID string) {
	body, _ := json.Marshal(struct { // strings always marshal
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{e.Code, e.Words(requestID)})
	writeBody(w, e.Status, body)
}

// Code is the error code that the caller sees of err.
func Code(err error) string { return answer(err).Code }
