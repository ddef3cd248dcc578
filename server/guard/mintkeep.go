package guard

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	questionTime = 2500 * time.Millisecond
	keysTime     = 5 * time.Second
	maxAnswer    = 1 << 20
	changesPath  = "/oauth/changes"
)

// errRejected: Mintkeep rejects the guard's own client.
var errRejected = errors.New("the guard's own client is rejected: check its secret, and that it has the scope mintkeep:introspect")

// statusError is another status than 200.
type statusError struct {
	status     int
	retryAfter time.Duration
}

func (e *statusError) Error() string { return fmt.Sprintf("the answer of Mintkeep is %d", e.status) }

// mintkeep is the server, as the guard's client.
type mintkeep struct {
	config *Config
	base   string
	client *http.Client
	polls  *http.Client   // as client, with connections of its own if it can have them: to close them ends no question
	own    []*http.Client // the ones whose connections are the guard's own
	leave  atomic.Bool    // the next poll is the last one on its connection

	mu     sync.Mutex
	secret string
}

func newMintkeep(c *Config) *mintkeep {
	m := &mintkeep{config: c, base: strings.TrimSuffix(c.Issuer, "/"), client: c.HTTPClient, secret: c.ClientSecret}
	if m.client == nil {
		m.client = m.withOwnConnections(&http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		})
	}
	m.polls = m.withOwnConnections(m.client)
	if c.ClientSecretFile != "" {
		m.secret, _ = readSecret(c.ClientSecretFile) // complete has read it
	}
	return m
}

// withOwnConnections returns a copy of as with a connection pool of its own. It returns as itself if its transport is not an
// *http.Transport.
func (m *mintkeep) withOwnConnections(as *http.Client) *http.Client {
	transport := as.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	t, ok := transport.(*http.Transport)
	if !ok {
		return as
	}
	t = t.Clone()
	if t.TLSNextProto == nil && t.TLSClientConfig != nil && slices.Contains(t.TLSClientConfig.NextProtos, "h2") {
		t.ForceAttemptHTTP2 = true // else the clone offers HTTP/2 and does not speak it
	}
	t.MaxIdleConnsPerHost = max(t.MaxIdleConnsPerHost, maxQuestions)
	own := *as
	own.Transport = t
	m.own = append(m.own, &own)
	return &own
}

// close closes the guard's idle connections.
func (m *mintkeep) close() {
	for _, c := range m.own {
		c.CloseIdleConnections()
	}
}

// leaveReplica has the next poll open a new connection: a load balancer may choose another replica. Where the connections are not the
// guard's own it is the poll after the next one.
func (m *mintkeep) leaveReplica() {
	m.leave.Store(true)
	m.close()
}

// sender is the client that sends a request.
func (m *mintkeep) sender(r *http.Request) *http.Client {
	if !strings.HasSuffix(r.URL.Path, changesPath) {
		return m.client
	}
	r.Close = m.leave.Load() // over HTTP/2 too, where the other requests of the connection go on
	return m.polls
}

// authorize authenticates a request, with this secret unless the client has none.
func (m *mintkeep) authorize(ctx context.Context, r *http.Request, secret string) error {
	if m.config.Token != nil {
		token, err := m.config.Token(ctx)
		if err != nil {
			return fmt.Errorf("fetch the guard's token: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
	pair := url.QueryEscape(m.config.ClientID) + ":" + url.QueryEscape(secret) // RFC 6749 §2.3.1
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	return nil
}

// current is the secret that was read last.
func (m *mintkeep) current() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.secret
}

// renew reads the secret again after one was rejected, and tells whether there is another now. Another request may have read it
// before.
func (m *mintkeep) renew(rejected string) (secret string, another bool) {
	if m.config.ClientSecretFile == "" {
		return "", false
	}
	secret, err := readSecret(m.config.ClientSecretFile)
	if err != nil {
		return "", false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.secret = secret
	return secret, secret != rejected
}

// post sends a request and reads the JSON object of its answer into result.
func (m *mintkeep) post(ctx context.Context, path, contentType string, body []byte, result any) error {
	secret := m.current()
	err := m.postOnce(ctx, path, contentType, body, secret, result)
	if errors.Is(err, errRejected) {
		if secret, another := m.renew(secret); another {
			err = m.postOnce(ctx, path, contentType, body, secret, result)
		}
	}
	return err
}

func (m *mintkeep) postOnce(ctx context.Context, path, contentType string, body []byte, secret string, result any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := m.authorize(ctx, r, secret); err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", "application/json")
	return m.do(r, result)
}

func (m *mintkeep) do(r *http.Request, result any) error {
	answer, err := m.sender(r).Do(r)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // without the URL
		}
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return err
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		return errRejected
	case answer.StatusCode != http.StatusOK:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return &statusError{answer.StatusCode, time.Duration(seconds) * time.Second}
	case len(text) > maxAnswer:
		return errors.New("the answer of Mintkeep is too long")
	}
	return json.Unmarshal(text, result)
}

// introspection is an answer of POST /oauth/introspect with ties=true.
type introspection struct {
	Active    bool            `json:"active"`
	Scope     string          `json:"scope"`
	ClientID  string          `json:"client_id"`
	Subject   string          `json:"sub"`
	TokenType string          `json:"token_type"`
	Audience  audience        `json:"aud"`
	IssuedAt  int64           `json:"iat"`
	Expires   int64           `json:"exp"`
	ID        string          `json:"jti"`
	Binding   json.RawMessage `json:"cnf"`
	Ties      []string        `json:"ties"`
	Left      *int64          `json:"left"`
	State     string          `json:"state"`

	// Of an API key.
	Name      string            `json:"name"`
	Metadata  map[string]string `json:"metadata"`
	RateLimit string            `json:"rate_limit"`
	Username  string            `json:"username"`
}

// audience is one string or many (RFC 7662 §2.2).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

func (m *mintkeep) introspect(ctx context.Context, credential string) (i introspection, err error) {
	ctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	form := url.Values{"token": {credential}, "ties": {"true"}}.Encode()
	err = m.post(ctx, "/oauth/introspect", "application/x-www-form-urlencoded", []byte(form), &i)
	return i, err
}

// keys fetches the published keys.
func (m *mintkeep) keys(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.base+"/.well-known/jwks.json", nil)
	if err != nil {
		return nil, err
	}
	var text json.RawMessage
	err = m.do(r, &text)
	return text, err
}
