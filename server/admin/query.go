package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/web"
)

const (
	defaultLimit = 50
	maxLimit     = 200
)

// parameters are those of a listing's query, each at most once. One that is empty is omitted.
type parameters url.Values

func readQuery(r *http.Request) (parameters, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, web.InvalidRequest("The query is not well-formed")
	}
	return parameters(query), nil
}

// text is a parameter's value, as a person may have typed it.
func (p parameters) text(name string) (string, error) {
	values := p[name]
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", web.InvalidRequest("%s: stands more than once", name)
	case !utf8.ValidString(values[0]) || strings.ContainsFunc(values[0], unicode.IsControl):
		return "", web.InvalidRequest("%s: must be UTF-8 without control characters", name)
	}
	return values[0], nil
}

// limit is how long a page may be.
func (p parameters) limit() (int, error) {
	text, err := p.text("limit")
	if err != nil || text == "" {
		return defaultLimit, err
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxLimit {
		return 0, web.InvalidRequest("limit: must be a whole number from 1 to %d", maxLimit)
	}
	return limit, nil
}

// flag is a parameter that is true or false; omitted, false.
func (p parameters) flag(name string) (bool, error) {
	switch text, err := p.text(name); {
	case err != nil:
		return false, err
	case text == "true":
		return true, nil
	case text == "" || text == "false":
		return false, nil
	}
	return false, web.InvalidRequest("%s: must be true or false", name)
}

// moment is a time, or so long before now; omitted, zero.
func (p parameters) moment(name string, now time.Time) (time.Time, error) {
	text, err := p.text(name)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, web.InvalidRequest("%s: must be a time such as 2026-01-31T12:00:00Z, or a duration such as 24h", name)
}
