// Package tracingtest is a collector of traces for tests: it takes OTLP over HTTP, as Mintkeep's exporter sends it.
package tracingtest

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	collected "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it was received. Ids are in hexadecimal.
type Span struct {
	Name              string
	Server            bool // of a request
	Trace, ID, Parent string
	Links             []string // the traces of
	Attributes        map[string]string
	Failed            bool
}

// Collector receives spans.
type Collector struct {
	URL string

	mu      sync.Mutex
	spans   []Span
	bodies  bytes.Buffer
	headers http.Header
	posts   int
	answer  http.HandlerFunc
}

// New starts a collector. It is closed at the end of the test.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	c.URL = s.URL
	return c
}

// Answer has h answer what is posted from now on, which then is not collected; nil: it is collected again.
func (c *Collector) Answer(h http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = h
}

// ServeHTTP takes a batch.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // first, or the server does not notice that the caller goes away
	c.mu.Lock()
	c.posts++
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	var batch collected.TracesData
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &batch) != nil {
		http.Error(w, "This is no batch of spans", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies.Write(body)
	c.headers = r.Header.Clone()
	for _, resource := range batch.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, spanOf(s))
			}
		}
	}
}

func spanOf(s *collected.Span) Span {
	span := Span{
		Name: s.GetName(), Server: s.GetKind() == collected.Span_SPAN_KIND_SERVER,
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Attributes: map[string]string{}, Failed: s.GetStatus().GetCode() == collected.Status_STATUS_CODE_ERROR,
	}
	for _, link := range s.GetLinks() {
		span.Links = append(span.Links, hex.EncodeToString(link.GetTraceId()))
	}
	for _, a := range s.GetAttributes() {
		span.Attributes[a.GetKey()] = textOf(a.GetValue())
	}
	return span
}

func textOf(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	}
	return v.GetStringValue()
}

// Spans are those that were received.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span{}, c.spans...)
}

// Raw is all that was received, as it was sent: to look for what must not be there.
func (c *Collector) Raw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bodies.String()
}

// Header is that of the last batch.
func (c *Collector) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers
}

// Posts is how many requests came.
func (c *Collector) Posts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.posts
}
