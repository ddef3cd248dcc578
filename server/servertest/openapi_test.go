package servertest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
)

const spec = `
openapi: 3.1.0
info: {title: tiny, version: '1'}
servers: [{url: /}]
paths:
  /token:
    post:
      security: [{basic: []}]
      requestBody:
        required: true
        content:
          application/x-www-form-urlencoded:
            schema:
              type: object
              required: [grant_type]
              properties:
                grant_type: {type: string, const: client_credentials}
                resource: {type: array, items: {type: string}}
      responses:
        '200':
          description: open for the future, and so closed only by the test
          headers:
            Cache-Control: {required: true, schema: {type: string, const: no-store}}
          content:
            application/json:
              schema:
                type: object
                required: [token_type, expires_in]
                properties:
                  token_type: {$ref: '#/components/schemas/Type'}
                  expires_in: {type: integer, minimum: 1}
                  until: {type: [string, 'null'], format: date-time}
        '204':
          description: nothing to say
  /keys/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      responses:
        '200':
          description: a key
          content:
            application/json:
              schema: {type: object, required: [id], properties: {id: {type: string}}}
        '304':
          description: not modified
          headers:
            ETag: {required: true, schema: {type: string}}
    delete:
      responses:
        '204':
          description: gone
components:
  securitySchemes:
    basic: {type: http, scheme: basic}
  schemas:
    Type: {type: string, const: bearer}
  responses:
    NotFound:
      description: the shape of a refusal
      content:
        application/json:
          schema:
            type: object
            required: [error]
            properties:
              error: {type: string}
`

// recorder is a testing.TB that keeps what it is told.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// reply is a canned answer.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return nil, err
		}
	}
	w := httptest.NewRecorder()
	for k, v := range r.header {
		w.Header()[k] = v
	}
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
	return w.Result(), nil
}

func jsonHeader(pairs ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = []string{pairs[i+1]}
	}
	return h
}

// tokenRequest is one that the document allows.
func tokenRequest(t *testing.T, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://server.test/token", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("a", "b")
	return req
}

const goodForm = "grant_type=client_credentials&resource=a&resource=b&unknown=1"

// exchange sends req through the validating transport and returns what that said.
func exchange(t *testing.T, req *http.Request, with reply) []string {
	t.Helper()
	said := &recorder{TB: t}
	resp, err := servertest.Validating(said, with, []byte(spec)).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(with.body, string(got)); diff != "" {
		t.Errorf("the caller's body (-want +got):\n%s", diff)
	}
	return said.errors
}

// check wants one drift that contains each of want, or none at all.
func check(t *testing.T, said []string, want ...string) {
	t.Helper()
	if len(want) == 0 && len(said) > 0 {
		t.Errorf("got %q, want no drift", said)
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(said, "\n"), w) {
			t.Errorf("got %q, want a drift with %q", said, w)
		}
	}
}

func TestAnswers(t *testing.T) {
	good := `{"token_type":"bearer","expires_in":3600}`
	for name, test := range map[string]struct {
		reply reply
		want  []string
	}{
		"right":               {reply{200, jsonHeader(), good}, nil},
		"right, charset":      {reply{200, jsonHeader("Content-Type", "application/json; charset=utf-8"), good}, nil},
		"null where allowed":  {reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":1,"until":null}`}, nil},
		"right time":          {reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":1,"until":"2026-01-01T00:00:00Z"}`}, nil},
		"wrong time":          {reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":1,"until":"today"}`}, []string{"until"}},
		"null where not":      {reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":null}`}, []string{"expires_in"}},
		"wrong type":          {reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":"3600"}`}, []string{"expires_in"}},
		"wrong constant":      {reply{200, jsonHeader(), `{"token_type":"Bearer","expires_in":3600}`}, []string{"bearer"}},
		"below the minimum":   {reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":0}`}, []string{"expires_in"}},
		"missing member":      {reply{200, jsonHeader(), `{"token_type":"bearer"}`}, []string{"expires_in"}},
		"undocumented member": {reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":1,"refresh_token":"x"}`}, []string{"refresh_token"}},
		"trailing garbage":    {reply{200, jsonHeader(), good + `{}`}, []string{"not one JSON value"}},
		"no JSON":             {reply{200, jsonHeader(), "ok"}, []string{"not one JSON value"}},
		"wrong content type":  {reply{200, jsonHeader("Content-Type", "text/plain"), good}, []string{"text/plain"}},
		"missing header":      {reply{200, http.Header{"Content-Type": {"application/json"}}, good}, []string{"Cache-Control"}},
		"wrong header":        {reply{200, jsonHeader("Cache-Control", "private"), good}, []string{"Cache-Control"}},
		"undocumented status": {reply{202, jsonHeader(), good}, []string{"202", "status is not documented"}},
		"undocumented error":  {reply{500, jsonHeader(), `{"error":"server_error"}`}, []string{"500", "status is not documented"}},
		"empty":               {reply{204, nil, ""}, nil},
		"not empty":           {reply{204, nil, "surprise"}, []string{"a body where none is documented"}},
		"net/http's own 431":  {reply{431, nil, "431 Request Header Fields Too Large"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			said := exchange(t, tokenRequest(t, strings.NewReader(goodForm)), test.reply)
			check(t, said, test.want...)
		})
	}
}

func TestRequests(t *testing.T) {
	ok := reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":3600}`}
	for name, test := range map[string]struct {
		change func(*http.Request)
		body   string
		reply  reply
		want   []string
	}{
		"right":                      {nil, goodForm, ok, nil},
		"wrong, and accepted":        {nil, "grant_type=password", ok, []string{"should not have been"}},
		"no body, and accepted":      {nil, "", ok, []string{"should not have been"}},
		"no credential, accepted":    {func(r *http.Request) { r.Header.Del("Authorization") }, goodForm, ok, []string{"no basic credential"}},
		"wrong, and refused by 4xx":  {nil, "grant_type=password", reply{400, nil, ""}, []string{"status is not documented"}},
		"content type, and accepted": {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, goodForm, ok, []string{"text/plain"}},
	} {
		t.Run(name, func(t *testing.T) {
			// As a body that can be had again, and as one that cannot.
			for _, body := range []io.Reader{strings.NewReader(test.body), io.NopCloser(strings.NewReader(test.body))} {
				req := tokenRequest(t, body)
				if test.change != nil {
					test.change(req)
				}
				said := exchange(t, req, test.reply)
				check(t, said, test.want...)
				if n := len(said); n != len(test.want) {
					t.Errorf("got %d drifts: %q, want %d", n, said, len(test.want))
				}
			}
		})
	}
}

func TestPathsAndMethods(t *testing.T) {
	refused := `{"error":"not_found"}`
	for name, test := range map[string]struct {
		method, path string
		reply        reply
		want         []string
	}{
		"GET":                      {"GET", "/keys/1", reply{200, jsonHeader(), `{"id":"1"}`}, nil},
		"304":                      {"GET", "/keys/1", reply{304, http.Header{"Etag": {`"x"`}}, ""}, nil},
		"304 without its header":   {"GET", "/keys/1", reply{304, nil, ""}, []string{"ETag"}},
		"HEAD":                     {"HEAD", "/keys/1", reply{200, jsonHeader(), ""}, nil},
		"HEAD with a body":         {"HEAD", "/keys/1", reply{200, jsonHeader(), `{"id":"1"}`}, []string{"a body where none"}},
		"HEAD, undocumented":       {"HEAD", "/keys/1", reply{403, jsonHeader(), ""}, []string{"status is not documented"}},
		"redirect":                 {"GET", "/keys/1", reply{307, http.Header{"Location": {"/"}}, ""}, []string{"status is not documented"}},
		"unknown path":             {"GET", "/nowhere", reply{404, jsonHeader(), refused}, nil},
		"unknown path, other form": {"GET", "/nowhere", reply{404, nil, "404 page not found"}, []string{"Content-Type"}},
		"unknown path, wrong form": {"GET", "/nowhere", reply{404, jsonHeader(), `{"message":"x"}`}, []string{"error"}},
		"undocumented path":        {"GET", "/debug/pprof", reply{200, nil, "hello"}, []string{"path is not documented"}},
		"trailing slash":           {"GET", "/keys/1/", reply{200, jsonHeader(), `{"id":"1"}`}, []string{"path is not documented"}},
		"405":                      {"PUT", "/keys/1", reply{405, jsonHeader("Allow", "GET, HEAD, DELETE"), refused}, nil},
		"405 without Allow":        {"PUT", "/keys/1", reply{405, jsonHeader(), refused}, []string{"lacks GET", "lacks DELETE"}},
		"405 with too much":        {"PUT", "/keys/1", reply{405, jsonHeader("Allow", "GET, DELETE, PATCH"), refused}, []string{"has PATCH"}},
		"405 of another form":      {"PUT", "/keys/1", reply{405, http.Header{"Allow": {"GET,DELETE"}}, "no"}, []string{"Content-Type"}},
		"undocumented method":      {"PUT", "/keys/1", reply{200, jsonHeader("Allow", "GET, DELETE"), `{}`}, []string{"method is not documented"}},
		"OPTIONS":                  {"OPTIONS", "/keys/1", reply{204, http.Header{"Allow": {"GET, HEAD, DELETE, OPTIONS"}}, ""}, nil},
		"HEAD of a POST route":     {"HEAD", "/token", reply{405, jsonHeader("Allow", "POST"), ""}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(test.method, "http://server.test"+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			check(t, exchange(t, req, test.reply), test.want...)
		})
	}
}

func TestConcurrent(t *testing.T) {
	said := &recorder{TB: t}
	with := reply{200, jsonHeader(), `{"token_type":"mac","expires_in":3600}`}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			transport := servertest.Validating(said, with, []byte(spec))
			for range 5 {
				if _, err := transport.RoundTrip(tokenRequest(t, strings.NewReader(goodForm))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := len(said.errors), 40; got != want {
		t.Errorf("got %d drifts, want %d", got, want)
	}
}

func BenchmarkValidating(b *testing.B) {
	transport := servertest.Validating(b, reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":3600}`}, []byte(spec))
	for b.Loop() {
		req, _ := http.NewRequest(http.MethodPost, "http://server.test/token", strings.NewReader(goodForm))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("a", "b")
		if _, err := transport.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}
