package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	defaultLimit = 50
	maxLimit     = 200
)

// Query holds the parameters of a listing, each at most once. One that is empty is omitted.
type Query url.Values

// ReadQuery reads the query of a request.
func ReadQuery(r *http.Request) (Query, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, InvalidRequest("The query string is malformed")
	}
	return Query(query), nil
}

// Text is a parameter's value, as a user may have typed it.
func (p Query) Text(name string) (string, error) {
	values := p[name]
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", InvalidRequest("%s: is repeated", name)
	case credentialShape.MatchString(values[0]): // which Redis would get in plaintext
		return "", InvalidRequest("%s: looks like a credential; search by id or name instead", name)
	case !utf8.ValidString(values[0]) || strings.ContainsFunc(values[0], unicode.IsControl):
		return "", InvalidRequest("%s: must be UTF-8 without control characters", name)
	}
	return values[0], nil
}

// Limit is how many items a page may have, from 1 to 200; omitted, 50.
func (p Query) Limit() (int, error) {
	text, err := p.Text("limit")
	if err != nil || text == "" {
		return defaultLimit, err
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxLimit {
		return 0, InvalidRequest("limit: must be a whole number from 1 to %d", maxLimit)
	}
	return limit, nil
}

// Flag is a parameter that is true or false; omitted, false.
func (p Query) Flag(name string) (bool, error) {
	switch text, err := p.Text(name); {
	case err != nil:
		return false, err
	case text == "true":
		return true, nil
	case text == "" || text == "false":
		return false, nil
	}
	return false, InvalidRequest("%s: must be true or false", name)
}

// Moment is a time, or a duration before now; omitted, zero.
func (p Query) Moment(name string, now time.Time) (time.Time, error) {
	text, err := p.Text(name)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, InvalidRequest("%s: must be a time such as 2026-01-31T12:00:00Z, or a duration such as 24h", name)
}
