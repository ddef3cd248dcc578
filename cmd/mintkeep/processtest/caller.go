package processtest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Caller calls a server, or a load balancer in front of some.
type Caller struct {
	// URL is the address, without a slash behind it.
	URL string
	// HTTP sends the requests; nil: http.DefaultClient.
	HTTP *http.Client
}

// Answer is an answer. Err is set when there was none.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Err    error
	Took   time.Duration
}

// Call sends a request. authorization is the header's value.
func (c Caller) Call(method, path, contentType, body, authorization string) Answer {
	began := time.Now()
	r, err := http.NewRequestWithContext(context.Background(), method, c.URL+path, strings.NewReader(body))
	if err != nil {
		return Answer{Err: err}
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(r)
	if err != nil {
		return Answer{Err: err, Took: time.Since(began)}
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, response.Header, string(read), err, time.Since(began)}
}

// Get asks without a credential.
func (c Caller) Get(path string) Answer { return c.Call(http.MethodGet, path, "", "", "") }

// Form posts a form.
func (c Caller) Form(path, authorization string, values url.Values) Answer {
	return c.Call(http.MethodPost, path, "application/x-www-form-urlencoded", values.Encode(), authorization)
}

// Admin sends JSON, or nothing, with the admin token.
func (c Caller) Admin(method, path, body string) Answer {
	contentType := ""
	if body != "" {
		contentType = "application/json"
	}
	return c.Call(method, path, contentType, body, "Bearer "+AdminToken)
}

// Ready is whether /readyz says so.
func (c Caller) Ready() bool { return c.Get("/readyz").Status == http.StatusOK }

// Issue asks for a token, as the client whose Authorization header this is.
func (c Caller) Issue(authorization string) Answer {
	return c.Form("/oauth/token", authorization, url.Values{"grant_type": {"client_credentials"}})
}

// Introspect asks about a token.
func (c Caller) Introspect(authorization, token string) Answer {
	return c.Form("/oauth/introspect", authorization, url.Values{"token": {token}})
}

// Revoke revokes a token.
func (c Caller) Revoke(authorization, token string) Answer {
	return c.Form("/oauth/revoke", authorization, url.Values{"token": {token}})
}

// Me asks which principal a credential speaks for.
func (c Caller) Me(credential string) Answer {
	return c.Call(http.MethodGet, "/api/v1/users/me", "", "", "Bearer "+credential)
}

// Register registers a client with these members (a JSON object) and returns the value of its Authorization header.
func (c Caller) Register(tb testing.TB, members string) string {
	tb.Helper()
	a := c.Admin(http.MethodPost, "/admin/clients", members)
	return basic(a.Member(tb, http.StatusCreated, "client_id"), a.Member(tb, http.StatusCreated, "client_secret"))
}

// Token issues a token, which must succeed.
func (c Caller) Token(tb testing.TB, authorization string) string {
	tb.Helper()
	return c.Issue(authorization).Member(tb, http.StatusOK, "access_token")
}

// Member is a string in the answer's JSON object, which must have come with this status.
func (a Answer) Member(tb testing.TB, status int, name string) string {
	tb.Helper()
	var members map[string]any
	if !a.Is(status) || json.Unmarshal([]byte(a.Body), &members) != nil {
		tb.Fatalf("got %s, want %d", a, status)
	}
	value, _ := members[name].(string)
	return value
}

// Is is whether it came whole, with this status.
func (a Answer) Is(status int) bool { return a.Err == nil && a.Status == status }

// Active is whether an introspection says so.
func (a Answer) Active() bool {
	return a.Is(http.StatusOK) && strings.Contains(a.Body, `"active":true`)
}

// Inactive is whether an introspection says so. A 503 is neither.
func (a Answer) Inactive() bool { return a.Is(http.StatusOK) && a.Body == `{"active":false}` }

// String is for the message of a test that fails.
func (a Answer) String() string {
	if a.Err != nil {
		return a.Err.Error()
	}
	return fmt.Sprintf("%d %s", a.Status, a.Body)
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}
