package web

import (
	"net/http"
	"slices"
	"strings"
)

// Match is the condition of a request on the version of what it changes (RFC 9110 §13.1.1). The zero value is none.
type Match struct {
	given bool
	any   bool
	tags  []string
}

// ReadMatch reads If-Match. A weak tag never matches (RFC 9110 §8.8.3.2), and neither does what is not a tag.
func ReadMatch(r *http.Request) Match {
	values := r.Header.Values("If-Match")
	m := Match{given: len(values) > 0}
	for tag := range strings.SplitSeq(strings.Join(values, ","), ",") { // no tag of ours has a comma
		tag = strings.TrimSpace(tag)
		m.any = m.any || tag == "*"
		m.tags = append(m.tags, tag)
	}
	return m
}

// Given is whether the request has the condition.
func (m Match) Given() bool { return m.given }

// Check is the 412 unless the version is one that the request names.
func (m Match) Check(version string) error {
	if !m.given || m.any || slices.Contains(m.tags, ETag(version)) {
		return nil
	}
	return PreconditionFailed()
}

// ETag is a version as a header has it (RFC 9110 §8.8.3).
func ETag(version string) string { return `"` + version + `"` }

// PreconditionRequired is the 428 for a change without If-Match (RFC 6585 §3).
func PreconditionRequired() *Error {
	return &Error{
		Status: http.StatusPreconditionRequired, Code: "precondition_required",
		Description: "If-Match: is missing; send the ETag of what you have read, or * to replace whatever there is",
	}
}
