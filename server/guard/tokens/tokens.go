// Package tokens fetches access tokens from Mintkeep for a client, by the client credentials grant (RFC 6749 §4.4). All callers
// share one token, which is renewed in the background while it is used.
//
//	src, err := tokens.New(tokens.Config{
//		Issuer: "https://auth.example.com", ClientID: "billing",
//		ClientSecretFile: "/run/secrets/billing", Scope: "read", Resource: "https://orders.example.com",
//	})
//	client := &http.Client{Transport: src.Transport(nil)}
//	resp, err := client.Get("https://orders.example.com/orders")
package tokens

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	fetchTime = 10 * time.Second
	maxAnswer = 64 << 10
	retryTime = time.Second // between two fetches, after a failure or a 401
)

// Config for [New]. Issuer, ClientID and one of ClientSecret and ClientSecretFile are required.
type Config struct {
	Issuer           string
	ClientID         string
	ClientSecret     string
	ClientSecretFile string // read again when Mintkeep says invalid_client
	Scope            string // separated by spaces; empty: the registered scopes
	Resource         string // the service that the token is for (RFC 8707); empty: the registered audience
	HTTPClient       *http.Client
	Now              func() time.Time // nil: time.Now
}

// Source has the token. It is safe for concurrent use.
type Source struct {
	config Config
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	secret  string
	token   string
	renew   time.Time // from then on the next use renews it in the background
	expires time.Time
	fetch   *fetch // under way; nil: none
	tried   time.Time
	failed  error // of the last fetch; nil: it was successful
	after   time.Time
}

// fetch is one request for a token. All callers wait for it, each under a context of its own.
type fetch struct {
	done  chan struct{}
	token string
	err   error
}

// New makes a source. It fetches nothing yet. The error joins one for each wrong field of the Config.
func New(c Config) (*Source, error) {
	var mistakes []error
	if u, err := url.Parse(c.Issuer); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		mistakes = append(mistakes, errors.New("tokens: Issuer is not a URL"))
	}
	if c.ClientID == "" {
		mistakes = append(mistakes, errors.New("tokens: ClientID is empty"))
	}
	s := &Source{config: c, client: c.HTTPClient, now: c.Now, secret: c.ClientSecret}
	switch {
	case (c.ClientSecret == "") == (c.ClientSecretFile == ""):
		mistakes = append(mistakes, errors.New("tokens: set one of ClientSecret and ClientSecretFile"))
	case c.ClientSecretFile != "":
		var err error
		if s.secret, err = readSecret(c.ClientSecretFile); err != nil {
			mistakes = append(mistakes, fmt.Errorf("tokens: ClientSecretFile: %w", err))
		}
	}
	if s.client == nil {
		s.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s, errors.Join(mistakes...)
}

func readSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimRight(string(b), "\r\n"), err
}

// Token is a token that has not expired. It waits for a fetch if there is none.
func (s *Source) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	now := s.now()
	if s.token != "" && now.Before(s.expires) {
		token := s.token
		if !now.Before(s.renew) && s.mayFetch(now) {
			s.start(now)
		}
		s.mu.Unlock()
		return token, nil
	}
	if s.fetch == nil && !s.mayFetch(now) {
		err := s.failed
		s.mu.Unlock()
		return "", err
	}
	if s.fetch == nil {
		s.start(now)
	}
	f := s.fetch
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// mayFetch is whether none is under way, and the last one was not rejected just now.
func (s *Source) mayFetch(now time.Time) bool {
	return s.fetch == nil && (s.failed == nil || !now.Before(s.after))
}

// start begins a fetch. The caller holds the lock.
func (s *Source) start(now time.Time) {
	f := &fetch{done: make(chan struct{})}
	s.fetch, s.tried = f, now
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
		defer cancel()
		answer, err := s.ask(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fetch, s.failed = nil, err
		if err == nil {
			life := time.Duration(answer.ExpiresIn) * time.Second
			share := 0.75 + 0.1*rand.Float64() //nolint:gosec // so that many processes do not renew at once
			s.token, s.expires = answer.Token, s.now().Add(life)
			s.renew = s.now().Add(time.Duration(share * float64(life)))
		} else {
			var status *statusError
			s.after = s.now().Add(retryTime)
			if errors.As(err, &status) && status.retryAfter > retryTime {
				s.after = s.now().Add(status.retryAfter)
			}
		}
		f.token, f.err = answer.Token, err
		close(f.done)
	}()
}

type answer struct {
	Token     string `json:"access_token"`
	ExpiresIn int64  `json:"expires_in"`
	Error     string `json:"error"`
	Describe  string `json:"error_description"`
}

// statusError is an answer other than 200. It has no secret.
type statusError struct {
	status     int
	code, text string
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("tokens: Mintkeep answers %d %s: %s", e.status, e.code, e.text)
}

// ask fetches a token, and once more with a secret that was replaced.
func (s *Source) ask(ctx context.Context) (answer, error) {
	a, err := s.askOnce(ctx)
	var status *statusError
	if errors.As(err, &status) && status.code == "invalid_client" && s.config.ClientSecretFile != "" {
		if secret, readErr := readSecret(s.config.ClientSecretFile); readErr == nil && s.replaceSecret(secret) {
			return s.askOnce(ctx)
		}
	}
	return a, err
}

func (s *Source) replaceSecret(secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	other := secret != s.secret
	s.secret = secret
	return other
}

func (s *Source) askOnce(ctx context.Context) (a answer, err error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if s.config.Scope != "" {
		form.Set("scope", s.config.Scope)
	}
	if s.config.Resource != "" {
		form.Set("resource", s.config.Resource)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(s.config.Issuer, "/")+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return a, err
	}
	s.mu.Lock()
	pair := url.QueryEscape(s.config.ClientID) + ":" + url.QueryEscape(s.secret) // RFC 6749 §2.3.1
	s.mu.Unlock()
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := s.client.Do(r)
	if err != nil {
		return a, fmt.Errorf("tokens: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return a, fmt.Errorf("tokens: %w", err)
	}
	err = json.Unmarshal(body, &a)
	if response.StatusCode != http.StatusOK {
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return answer{}, &statusError{response.StatusCode, a.Error, a.Describe, time.Duration(seconds) * time.Second}
	}
	if err != nil || a.Token == "" || a.ExpiresIn <= 0 {
		return answer{}, errors.New("tokens: the answer of Mintkeep has no token")
	}
	return a, nil
}

// Transport sends requests with the token. base sends them; nil: http.DefaultTransport. After a 401 with invalid_token it
// fetches another token, at most once a second, and repeats the request if its body can be sent again.
func (s *Source) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{s, base}
}

type transport struct {
	source *Source
	base   http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.mayHaveToken(r) {
		return t.base.RoundTrip(r)
	}
	token, err := t.source.Token(r.Context())
	if err != nil {
		closeBody(r)
		return nil, err
	}
	response, err := t.base.RoundTrip(withToken(r, token, r.Body))
	if err != nil || response.StatusCode != http.StatusUnauthorized || !strings.Contains(response.Header.Get("WWW-Authenticate"), "invalid_token") {
		return response, err
	}
	body := r.Body
	if body != nil && body != http.NoBody {
		if r.GetBody == nil {
			return response, nil
		}
		if body, err = r.GetBody(); err != nil {
			return response, nil //nolint:nilerr // the answer is there
		}
	}
	t.source.discard(token)
	again, err := t.source.Token(r.Context())
	if err != nil || again == token {
		return response, nil //nolint:nilerr // likewise
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	_ = response.Body.Close()
	return t.base.RoundTrip(withToken(r, again, body))
}

// mayHaveToken is false for a redirect to another host: the token is not for it.
func (t *transport) mayHaveToken(r *http.Request) bool {
	first := r
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request
	}
	return first.URL.Host == r.URL.Host && first.URL.Scheme == r.URL.Scheme
}

func withToken(r *http.Request, token string, body io.ReadCloser) *http.Request {
	r = r.Clone(r.Context())
	r.Body = body
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// discard has the next caller fetch another token, unless one was fetched less than a second ago.
func (s *Source) discard(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token && s.now().Sub(s.tried) >= retryTime {
		s.token = ""
	}
}
