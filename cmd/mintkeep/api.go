package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mintkeep/mintkeep/config"
)

// api calls the admin API of a running server.
type api struct {
	base  string
	token config.Secret
	http  *http.Client
}

// newAPI finds server and token in the environment.
func newAPI(p process) (*api, error) {
	e := newEnvironment(p)
	a := &api{
		base: e.adminURL(), token: e.secret("MINTKEEP_ADMIN_TOKEN", `"$(cat admin-token)"`), http: e.httpClient(apiTimeout),
	}
	return a, e.err()
}

// adminHelp describes the environment of the commands that call the admin API.
const adminHelp = `Environment:

    MINTKEEP_URL            the server; default ` + defaultURL + `
    MINTKEEP_ADMIN_URL      the server's listener for operators (MINTKEEP_ADMIN_ADDR);
                            default MINTKEEP_URL
    MINTKEEP_ADMIN_TOKEN    its admin token, or an operator's API key or an access
                            token with the scope mintkeep:admin;
                            MINTKEEP_ADMIN_TOKEN_FILE names a file with it` + caHelp

const (
	apiTimeout  = 30 * time.Second
	maxResponse = 16 << 20
	mergePatch  = "application/merge-patch+json" // RFC 7396
)

// resource is the path of an object, with its name escaped.
func resource(collection string, segments ...string) string {
	path := collection
	for _, segment := range segments {
		path += "/" + url.PathEscape(segment)
	}
	return path
}

func (a *api) get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	return a.call(ctx, http.MethodGet, with(path, query), "", nil)
}

func with(path string, query url.Values) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// post sends body as JSON; without a body, it sends none.
func (a *api) post(ctx context.Context, path string, body map[string]any) (json.RawMessage, error) {
	if body == nil {
		return a.call(ctx, http.MethodPost, path, "", nil)
	}
	return a.call(ctx, http.MethodPost, path, "application/json", body)
}

// create posts what is created by the request, which is not repeated. unknown is whether it may have been created although there
// is an error.
func (a *api) create(ctx context.Context, path string, body map[string]any) (answer json.RawMessage, unknown bool, err error) {
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	answer, err = a.post(traced, path, body)
	return answer, err != nil && sent.Load() && !isRejection(err), err
}

// isRejection is whether the server certainly did not do what it was asked. It may have done so if the answer is 5xx, or 408,
// which a proxy sends while the server still works.
func isRejection(err error) bool {
	var rejected *apiError
	return errors.As(err, &rejected) && rejected.Status >= 300 && rejected.Status < 500 && rejected.Status != http.StatusRequestTimeout
}

func (a *api) patch(ctx context.Context, path string, body map[string]any) (json.RawMessage, error) {
	return a.call(ctx, http.MethodPatch, path, mergePatch, body)
}

func (a *api) delete(ctx context.Context, path string, query url.Values) error {
	_, err := a.call(ctx, http.MethodDelete, with(path, query), "", nil)
	return err
}

// keepConnections keeps so many connections open, for as many requests at once.
func (a *api) keepConnections(n int) {
	transport, own := a.http.Transport.(*http.Transport)
	if !own {
		transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	transport.MaxIdleConnsPerHost = n
	a.http.Transport = transport
}

// header is one more header of a request.
type header struct{ name, value string }

// call sends one request and returns the body of a successful answer, which is
// empty for 204.
func (a *api) call(ctx context.Context, method, path, contentType string, body any, headers ...header) (json.RawMessage, error) {
	var content io.Reader
	if contentType != "" {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.token.Reveal())
	request.Header.Set("User-Agent", "mintkeep/"+buildVersion())
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for _, h := range headers {
		request.Header.Set(h.name, h.value)
	}
	answered, err := send(a.http, a.base, request)
	return answered, hintOfListener(err)
}

// hintOfListener adds where to look to the answer of a listener that does not serve /admin at all.
func hintOfListener(err error) error {
	var rejected *apiError
	if errors.As(err, &rejected) && rejected.Status == http.StatusNotFound && rejected.Description == "Page not found" {
		return fmt.Errorf("%w; if operators have a listener of their own (MINTKEEP_ADMIN_ADDR), set MINTKEEP_ADMIN_URL to its origin", err)
	}
	return err
}

// send sends a request and returns the body of a successful answer.
func send(client *http.Client, base string, request *http.Request) (json.RawMessage, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, unreachable(base, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	if err != nil {
		return nil, unreachable(base, err)
	}
	body, err := answer(response.StatusCode, text)
	var rejected *apiError
	if errors.As(err, &rejected) {
		rejected.note(response.Header)
	}
	return body, err
}

// answer separates the errors from the successful answers.
func answer(status int, text []byte) (json.RawMessage, error) {
	if status < 200 || status > 299 {
		rejected := &apiError{Status: status}
		_ = json.Unmarshal(text, rejected) // what is not JSON is not ours, and the status must do
		return nil, rejected
	}
	if status != http.StatusNoContent && !json.Valid(text) {
		return nil, errors.New("the answer is not JSON: is MINTKEEP_URL the address of Mintkeep?")
	}
	return text, nil
}

// unreachable says which server did not answer, and drops the rest of the URL.
func unreachable(base string, err error) error {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		err = urlError.Err
	}
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		return fmt.Errorf("cannot reach %s: %w; if the authority is your own, set %s to a file with its certificate in PEM", base, err, caFile)
	}
	return fmt.Errorf("cannot reach %s: %w", base, err)
}

// An apiError is an error of the server, in the shape that all have.
type apiError struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description"`

	retryAfter *time.Duration // when to try again; nil: it did not say
	date       time.Time      // by the server's clock; zero: it did not say
}

// note keeps what the headers say about an error.
func (e *apiError) note(h http.Header) {
	if seconds, err := strconv.Atoi(h.Get("Retry-After")); err == nil && seconds >= 0 {
		wait := time.Duration(min(seconds, 3600)) * time.Second
		e.retryAfter = &wait
	}
	e.date, _ = http.ParseTime(h.Get("Date"))
}

func (e *apiError) Error() string {
	description := e.Description
	if description == "" {
		description = "the server rejected the request"
	}
	if e.Code == "" {
		return fmt.Sprintf("%s (%d %s)", printable(description), e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("%s (%d %s)", printable(description), e.Status, printable(e.Code))
}
