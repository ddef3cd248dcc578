package main

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/mintkeep/mintkeep/server/guard"
)

// sidecar is the guard's HTTP face.
type sidecar struct {
	guard  *guard.Guard
	token  string
	closed bool // a stale guard answers 503
	counts *counters
	log    *slog.Logger
}

func newSidecar(g *guard.Guard, s settings, c *counters, log *slog.Logger) http.Handler {
	return &sidecar{guard: g, token: s.token, closed: s.guard.WhenStale == guard.Closed, counts: c, log: log}
}

// ServeHTTP goes by the raw request target: nothing is decoded or cleaned before the requirements are read.
func (s *sidecar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if rest, ok := strings.CutPrefix(path, "/verify/"); ok {
		first, _, _ := strings.Cut(rest, "/")
		s.verify(w, r, strings.ReplaceAll(first, ",", "&")) // the query is the gateway's caller's
		return
	}
	switch {
	case path == "/verify":
		s.verify(w, r, query)
	case path == "/introspect" && r.Method == http.MethodPost:
		s.introspect(w, r)
	case path == "/readyz":
		s.ready(w)
	case path == "/metrics":
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		s.counts.write(w, s.guard.Stats())
	default:
		write(w, http.StatusNotFound, "not_found", "The routes are /verify, /introspect, /readyz and /metrics.")
	}
}

func write(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}

// requirements are read from what the configuration of the gateway has written. Whatever is not known is a mistake: a typo
// never opens a route.
func requirements(text string) (options []guard.Option, err error) {
	if text == "" {
		return nil, errors.New("no requirements: name a scope, such as scope=read")
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, errors.New("the requirements cannot be decoded")
	}
	for name, all := range values {
		for _, value := range all {
			switch {
			case value == "":
				return nil, errors.New(name + " is empty")
			case name == "scope":
				options = append(options, guard.Scope(value))
			case name == "audience":
				options = append(options, guard.Audience(value))
			case name == "strict" && value == "1":
				options = append(options, guard.Strict)
			default:
				return nil, errors.New("unknown requirement: " + name + "; the requirements are scope, audience and strict=1")
			}
		}
	}
	return options, nil
}

func (s *sidecar) verify(w http.ResponseWriter, r *http.Request, text string) {
	options, err := requirements(text)
	if err != nil {
		s.log.Error("the gateway's configuration is wrong", "error", err.Error(), "requirements", text)
		write(w, http.StatusInternalServerError, "server_error", "The gateway is not configured correctly.")
		return
	}
	c, err := s.guard.Check(r.Context(), guard.Presented{Authorization: r.Header["Authorization"]}, options...)
	var refusal *guard.Refusal
	if errors.As(err, &refusal) {
		guard.WriteRefusal(w, refusal)
		return
	}
	h := w.Header()
	expires := ""
	if !c.Expires.IsZero() {
		expires = strconv.FormatInt(c.Expires.Unix(), 10)
	}
	// All of them, always: a gateway passes on what its caller has sent where the answer has nothing.
	for name, value := range map[string]string{
		"X-Auth-Subject": c.Subject, "X-Auth-Client-Id": c.ClientID, "X-Auth-Scope": strings.Join(c.Scopes, " "), "X-Auth-Type": c.Type,
		"X-Auth-Credential-Id": c.ID, "X-Auth-Audience": strings.Join(c.Audiences, " "), "X-Auth-Expires": expires, "X-Auth-Actor": "",
	} {
		h.Set(name, printable(value))
	}
	w.WriteHeader(http.StatusOK)
}

// printable encodes what is not printable ASCII by percent, and the percent sign.
func printable(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// maxForm is the longest body of POST /introspect.
const maxForm = 16 << 10

// introspect is RFC 7662, from memory. What is unknown is 503, never inactive.
func (s *sidecar) introspect(w http.ResponseWriter, r *http.Request) {
	if s.token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.token)) != 1 {
		w.Header().Set("WWW-Authenticate", "Bearer")
		write(w, http.StatusUnauthorized, "invalid_token", "Send the token of MINTKEEP_GUARD_TOKEN_FILE.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil || r.PostForm.Get("token") == "" {
		write(w, http.StatusBadRequest, "invalid_request", "Send the parameter token in a form.")
		return
	}
	c, err := s.guard.Check(r.Context(), guard.Presented{Authorization: []string{"Bearer " + r.PostForm.Get("token")}})
	var refusal *guard.Refusal
	answer := map[string]any{"active": false}
	switch {
	case errors.As(err, &refusal) && refusal.Status == http.StatusServiceUnavailable:
		guard.WriteRefusal(w, refusal)
		return
	case err == nil:
		answer = map[string]any{
			"active": true, "sub": c.Subject, "scope": strings.Join(c.Scopes, " "), "aud": c.Audiences, "token_type": c.Type, "jti": c.ID,
		}
		if c.ClientID != "" {
			answer["client_id"] = c.ClientID
		}
		describe(answer, c.Key)
		if !c.IssuedAt.IsZero() {
			answer["iat"] = c.IssuedAt.Unix()
		}
		if !c.Expires.IsZero() {
			answer["exp"] = c.Expires.Unix()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// describe adds what is told of an API key, each member if there is one.
func describe(answer map[string]any, key *guard.Key) {
	if key == nil {
		return
	}
	for name, value := range map[string]string{"name": key.Name, "rate_limit": key.RateLimit, "username": key.Owner} {
		if value != "" {
			answer[name] = value
		}
	}
	if len(key.Metadata) > 0 {
		answer["metadata"] = key.Metadata
	}
}

// ready is 200 while checks can be answered.
func (s *sidecar) ready(w http.ResponseWriter) {
	state, status := s.guard.Stats().State, http.StatusServiceUnavailable
	if state == guard.Current || state == guard.Stale && !s.closed {
		status = http.StatusOK
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]guard.State{"state": state})
}

func readToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if token := strings.TrimSpace(string(b)); err != nil || token != "" {
		return token, err
	}
	return "", errors.New("the file is empty")
}
