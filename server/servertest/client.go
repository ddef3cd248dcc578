package servertest

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Response is an answer, read whole.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// JSON is the body as an object; anything else fails the test.
func (r Response) JSON(t testing.TB) M {
	t.Helper()
	var m M
	if err := json.Unmarshal([]byte(r.Body), &m); err != nil {
		t.Fatalf("the body is not a JSON object: %v: %.200q", err, r.Body)
	}
	return m
}

// Error is the error code in the body, or empty.
func (r Response) Error() string {
	var e struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal([]byte(r.Body), &e)
	return e.Error
}

// Want fails the test unless the answer has this status, and this error code ("" for none).
func (r Response) Want(t testing.TB, status int, code string) Response {
	t.Helper()
	if r.Status != status || r.Error() != code {
		t.Errorf("got %d %q, want %d %q; body %.300s", r.Status, r.Error(), status, code, r.Body)
	}
	return r
}

// Edit changes a request before it is sent.
type Edit func(*http.Request)

// Header sets a header.
func Header(name, value string) Edit {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// Client is a registered client, with its secret.
type Client struct{ ID, Secret string }

// Basic authenticates c by client_secret_basic (RFC 6749 §2.3.1).
func (c Client) Basic() Edit {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret)) }
}

// Bearer presents a token (RFC 6750 §2.1).
func Bearer(token string) Edit { return Header("Authorization", "Bearer "+token) }

// Do sends a request and reads the answer.
func (s *Server) Do(t testing.TB, method, path string, body io.Reader, edits ...Edit) Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		edit(r)
	}
	response, err := s.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Response{Status: response.StatusCode, Header: response.Header, Body: string(read)}
}

// Get asks for a document.
func (s *Server) Get(t testing.TB, path string, edits ...Edit) Response {
	t.Helper()
	return s.Do(t, http.MethodGet, path, http.NoBody, edits...)
}

// Post sends a form, given as it stands on the wire: "grant_type=client_credentials&scope=read".
func (s *Server) Post(t testing.TB, path, form string, edits ...Edit) Response {
	t.Helper()
	edits = append([]Edit{Header("Content-Type", "application/x-www-form-urlencoded")}, edits...)
	return s.Do(t, http.MethodPost, path, strings.NewReader(form), edits...)
}

// Admin sends JSON (nil: nothing) to an admin route with the admin token, unless an edit says otherwise.
func (s *Server) Admin(t testing.TB, method, path string, v any, edits ...Edit) Response {
	t.Helper()
	edits = append([]Edit{Bearer(s.AdminToken)}, edits...)
	if v == nil {
		return s.Do(t, method, path, http.NoBody, edits...)
	}
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	contentType := "application/json"
	if method == http.MethodPatch {
		contentType = "application/merge-patch+json"
	}
	edits = append([]Edit{Header("Content-Type", contentType)}, edits...)
	return s.Do(t, method, path, strings.NewReader(string(body)), edits...)
}

// Register registers a client.
func (s *Server) Register(t testing.TB, metadata M) Client {
	t.Helper()
	answer := s.Admin(t, http.MethodPost, "/admin/clients", metadata).Want(t, http.StatusCreated, "").JSON(t)
	c := Client{ID: answer["client_id"].(string)}
	if imported, ok := metadata["client_secret"].(string); ok {
		c.Secret = imported
	} else {
		c.Secret, _ = answer["client_secret"].(string) // a client with a key has none
	}
	if c.Secret != "" {
		s.Secret(c.Secret)
	}
	return c
}

// Token fetches a token for c, with more parameters ("scope=read") if there are.
func (s *Server) Token(t testing.TB, c Client, parameters ...string) string {
	t.Helper()
	form := strings.Join(append([]string{"grant_type=client_credentials"}, parameters...), "&")
	answer := s.Post(t, "/oauth/token", form, c.Basic()).Want(t, http.StatusOK, "").JSON(t)
	token := answer["access_token"].(string)
	s.Secret(token)
	return token
}

// Introspect asks, as caller, about a token.
func (s *Server) Introspect(t testing.TB, caller Client, token string) M {
	t.Helper()
	form := url.Values{"token": {token}}.Encode()
	return s.Post(t, "/oauth/introspect", form, caller.Basic()).Want(t, http.StatusOK, "").JSON(t)
}

// Active is whether the token is active to caller.
func (s *Server) Active(t testing.TB, caller Client, token string) bool {
	t.Helper()
	return s.Introspect(t, caller, token)["active"].(bool)
}

// Revoke revokes a token as caller.
func (s *Server) Revoke(t testing.TB, caller Client, token string) Response {
	t.Helper()
	return s.Post(t, "/oauth/revoke", url.Values{"token": {token}}.Encode(), caller.Basic())
}

// User is a user that was created.
type User struct{ ID, Email string }

// User creates a user. The code of the invite is a secret.
func (s *Server) User(t testing.TB, metadata M) User {
	t.Helper()
	answer := s.Admin(t, http.MethodPost, "/admin/users", metadata).Want(t, http.StatusCreated, "").JSON(t)
	u := User{answer["id"].(string), answer["email"].(string)}
	s.invited(answer)
	return u
}

// Invite creates a new invite for u, and returns its link.
func (s *Server) Invite(t testing.TB, u User) string {
	t.Helper()
	answer := s.Admin(t, http.MethodPost, "/admin/users/"+u.ID+"/invite", nil).Want(t, http.StatusCreated, "").JSON(t)
	return s.invited(answer)
}

// invited registers the secret half of the code at the end of a link: the other half is the user's id.
func (s *Server) invited(answer M) string {
	link := answer["invite_url"].(string)
	s.Secret(link[len(link)-26:])
	return link
}

// Key is an API key, with its plaintext.
type Key struct{ ID, Plain string }

// Key creates an API key for u, as an operator does: {"name": …, "scope": …, "expires_at": …}. The default name is
// "test".
func (s *Server) Key(t testing.TB, u User, metadata M) Key {
	t.Helper()
	if _, named := metadata["name"]; !named {
		named := M{"name": "test"}
		maps.Copy(named, metadata)
		metadata = named
	}
	answer := s.Admin(t, http.MethodPost, "/admin/users/"+u.ID+"/keys", metadata).Want(t, http.StatusCreated, "")
	return s.NewKey(t, answer)
}

// NewKey is the key of an answer that created one.
func (s *Server) NewKey(t testing.TB, created Response) Key {
	t.Helper()
	answer := created.JSON(t)
	k := Key{answer["id"].(string), answer["key"].(string)}
	s.Secret(k.Plain)
	return k
}

// Me asks for the principal of a credential.
func (s *Server) Me(t testing.TB, credential string) Response {
	t.Helper()
	return s.Get(t, "/api/v1/users/me", Bearer(credential))
}

// API sends JSON (nil: nothing) to a route under /api by an API key.
func (s *Server) API(t testing.TB, method, path, key string, v any) Response {
	t.Helper()
	return s.Admin(t, method, path, v, Bearer(key))
}
