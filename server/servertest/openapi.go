package servertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Validating returns a transport that holds every answer to the OpenAPI document spec, and reports each drift
// by t.Errorf: an undocumented path or status, a header or member that is missing, wrong, or not in the document.
// Objects are closed here, whether or not the document leaves them open for the future.
//
// Requests are often wrong on purpose, so they are held to the document only when they were answered by 2xx; then it
// must allow them, credentials included. HEAD is taken for GET without a body. The document lists no 404 of unknown
// paths and no 405: their shape is that of its response NotFound.
//
// The caller gets the response as it came, its body included. Safe for concurrent use.
func Validating(t testing.TB, next http.RoundTripper, spec []byte) http.RoundTripper {
	t.Helper()
	doc, err := documentOf(spec)
	if err != nil {
		t.Fatalf("openapi: %v", err)
	}
	return &validating{t: t, next: next, doc: doc}
}

type validating struct {
	t    testing.TB
	next http.RoundTripper
	doc  *document
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (v *validating) CloseIdleConnections() {
	if c, ok := v.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (v *validating) RoundTrip(req *http.Request) (*http.Response, error) {
	v.t.Helper()
	sent, body := record(req)
	resp, err := v.next.RoundTrip(sent)
	if err != nil {
		return resp, err
	}
	e := exchange{req: req, status: resp.StatusCode, header: resp.Header}
	if e.body, err = replay(resp); err != nil {
		return resp, nil // the caller meets the same error when it reads
	}
	if resp.StatusCode/100 == 2 {
		e.sent, e.whole = body.bytes()
	}
	for _, drift := range v.doc.drifts(e) {
		v.t.Errorf("openapi: %s %s: %d: %v\nbody: %.500s", req.Method, req.URL.Path, e.status, drift, e.body)
	}
	return resp, nil
}

// exchange is a request and its answer, both read whole.
type exchange struct {
	req    *http.Request
	sent   []byte // the request's body
	whole  bool   // it was recorded from beginning to end
	status int
	header http.Header
	body   []byte
}

// drifts is how far an exchange is off the document; empty if it is not.
func (d *document) drifts(e exchange) []error {
	if e.status == http.StatusRequestHeaderFieldsTooLarge {
		return nil // net/http answers this by itself before any handler runs
	}
	req := e.req.Clone(context.Background())
	req.Body = http.NoBody
	if req.Method == http.MethodHead {
		req.Method = http.MethodGet
	}
	route, params, err := d.router.FindRoute(req)
	switch {
	case errors.Is(err, routers.ErrPathNotFound):
		return d.unknownPath(e, req)
	case errors.Is(err, routers.ErrMethodNotAllowed):
		return d.wrongMethod(e, req)
	case err != nil:
		return []error{err}
	}

	input := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route}
	found := d.answer(e, input, route.Operation.Responses.Status(e.status))
	if e.status/100 == 2 {
		found = append(found, question(e, input))
	}
	return slices.DeleteFunc(found, func(err error) bool { return err == nil })
}

// question holds the request to the operation.
func question(e exchange, input *openapi3filter.RequestValidationInput) error {
	input.Request.Body = io.NopCloser(bytes.NewReader(e.sent))
	input.Request.ContentLength = int64(len(e.sent))
	input.Request.GetBody = nil
	input.Options = options()
	input.Options.AuthenticationFunc = authenticated
	input.Options.SkipSettingDefaults = true
	input.Options.ExcludeRequestBody = !e.whole
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		return fmt.Errorf("the request was accepted, and should not have been: %w", err)
	}
	return nil
}

// authenticated only checks that a credential was sent at all: an answer of 2xx without one is a hole.
func authenticated(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	scheme, _, _ := strings.Cut(in.RequestValidationInput.Request.Header.Get("Authorization"), " ")
	if want := in.SecurityScheme.Scheme; !strings.EqualFold(scheme, want) {
		return fmt.Errorf("no %s credential was sent", want)
	}
	return nil
}

// answer holds the answer to one documented response.
func (d *document) answer(e exchange, input *openapi3filter.RequestValidationInput, want *openapi3.ResponseRef) []error {
	if want == nil || want.Value == nil {
		return []error{errors.New("the status is not documented")}
	}
	head := e.req.Method == http.MethodHead
	var found []error
	if len(e.body) > 0 && (head || len(want.Value.Content) == 0) {
		found = append(found, errors.New("a body where none is documented"))
	}
	if isJSON(e.header) && len(e.body) > 0 && !json.Valid(e.body) {
		found = append(found, errors.New("the body is not one JSON value"))
	}

	// The filter checks no header of a 304 or a redirect: so it gets the response as the default of the operation.
	op := *input.Route.Operation
	op.Responses = openapi3.NewResponsesWithCapacity(1)
	op.Responses.Set("default", want)
	route := *input.Route
	route.Operation = &op
	opts := options()
	opts.ExcludeResponseBody = head
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: input.Request, Route: &route},
		Status:                 http.StatusOK,
		Header:                 e.header,
		Body:                   io.NopCloser(bytes.NewReader(e.body)),
		Options:                opts,
	})
	return append(found, err)
}

// unknownPath wants the 404 that the document describes once for all.
func (d *document) unknownPath(e exchange, req *http.Request) []error {
	if e.status != http.StatusNotFound {
		return []error{errors.New("the path is not documented")}
	}
	return d.rejection(e, req)
}

// wrongMethod wants 405, or an answer to OPTIONS, with an Allow that names the documented methods and no others but
// HEAD and OPTIONS (RFC 9110 §15.5.6).
func (d *document) wrongMethod(e exchange, req *http.Request) []error {
	var found []error
	allow := strings.FieldsFunc(strings.Join(e.header.Values("Allow"), ","), func(r rune) bool { return r == ',' || r == ' ' })
	documented := d.methods(req)
	for _, m := range documented {
		if !slices.Contains(allow, m) {
			found = append(found, fmt.Errorf("the header Allow lacks %s", m))
		}
	}
	for _, m := range allow {
		if m != http.MethodHead && m != http.MethodOptions && !slices.Contains(documented, m) {
			found = append(found, fmt.Errorf("the header Allow has %s, which is not documented", m))
		}
	}
	switch {
	case e.status == http.StatusMethodNotAllowed:
		return append(found, d.rejection(e, req)...)
	case req.Method == http.MethodOptions && (e.status == http.StatusOK || e.status == http.StatusNoContent):
		return found
	}
	return append(found, errors.New("the method is not documented"))
}

// methods are those that the document gives the path of req.
func (d *document) methods(req *http.Request) []string {
	var found []string
	probe := req.Clone(context.Background())
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe.Method = m
		if _, _, err := d.router.FindRoute(probe); err == nil {
			found = append(found, m)
		}
	}
	return found
}

// rejection holds an answer that is no operation's to the response NotFound.
func (d *document) rejection(e exchange, req *http.Request) []error {
	if d.notFound == nil {
		return nil
	}
	route := &routers.Route{Spec: d.spec, Operation: &openapi3.Operation{}, Method: req.Method}
	found := d.answer(e, &openapi3filter.RequestValidationInput{Request: req, Route: route}, d.notFound)
	return slices.DeleteFunc(found, func(err error) bool { return err == nil })
}

func isJSON(h http.Header) bool {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// options are the filter's, with errors that tell where and why, and not the whole schema and value beside it.
func options() *openapi3filter.Options {
	opts := &openapi3filter.Options{MultiError: true}
	opts.WithCustomSchemaErrorFunc(func(err *openapi3.SchemaError) string {
		why := err.Reason
		if err.Origin != nil {
			why = fmt.Sprintf("%s (%v)", why, err.Origin) // what each branch of oneOf says
		}
		return fmt.Sprintf("/%s: %s", strings.Join(err.JSONPointer(), "/"), why)
	})
	return opts
}
