package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/server/tracing/tracingtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// tracedServer is a server that sends every span to the collector, soon.
func tracedServer(t *testing.T, b *storetest.Backend, c *tracingtest.Collector, environ ...string) *servertest.Server {
	t.Helper()
	return servertest.New(t, b, append(environ,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_TRACES_SAMPLER_ARG=1", "OTEL_BSP_SCHEDULE_DELAY=5",
		"OTEL_EXPORTER_OTLP_HEADERS=x-api-key=canary-of-the-collector")...)
}

// requestSpan waits for the last span of this name, and returns it with its children in the order of their names.
func requestSpan(t *testing.T, c *tracingtest.Collector, name string) (span tracingtest.Span, children []tracingtest.Span) {
	t.Helper()
	until(t, "the collector has "+name, func() bool {
		for _, s := range c.Spans() {
			if s.Name == name {
				span = s
			}
		}
		return span.ID != ""
	})
	for _, s := range c.Spans() { // which ended before, and so were sent before
		if s.Parent == span.ID {
			children = append(children, s)
		}
	}
	slices.SortFunc(children, func(a, b tracingtest.Span) int { return strings.Compare(a.Name, b.Name) })
	return span, children
}

// A request is a span with its route, its round trips to Redis and its signature.
func TestSpans(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		c := tracingtest.New(t)
		s := tracedServer(t, b, c)
		client := s.Register(t, servertest.M{"scope": "read mintkeep:introspect"})
		token := s.Token(t, client)
		s.Introspect(t, client, token)
		s.Revoke(t, client, token)
		s.Post(t, "/oauth/token", grantCC, servertest.Client{ID: client.ID, Secret: "wrong"}.Basic())
		for name, want := range map[string]struct {
			commands []string // of Redis, some of which are sent
			signed   bool
		}{
			"POST /oauth/introspect": {[]string{"HGETALL"}, false},
			"POST /oauth/revoke":     {[]string{"HGETALL"}, false},
		} {
			span, children := requestSpan(t, c, name)
			method, route, _ := strings.Cut(name, " ")
			attributes := map[string]string{"http.request.method": method, "http.route": route, "http.response.status_code": "200"}
			if diff := cmp.Diff(attributes, span.Attributes); diff != "" || !span.Server || span.Parent != "" || span.Failed {
				t.Errorf("%s is %+v\n(-want +got)\n%s", name, span, diff)
			}
			wantRoundTrips(t, name, span, children, want.commands...)
		}
		span, children := requestSpan(t, c, "POST /oauth/token")
		until(t, "the collector has the rejection", func() bool {
			span, children = requestSpan(t, c, "POST /oauth/token")
			return span.Attributes["http.response.status_code"] == "401"
		})
		if span.Attributes["error.type"] != "invalid_client" || span.Attributes["mintkeep.reason"] != "wrong secret" || len(span.Attributes) != 5 {
			t.Errorf("a rejected client is %+v", span)
		}
		wantRoundTrips(t, "a rejected client", span, children, "HGETALL", "XADD")
		wantSignature(t, c)
	})
}

// wantRoundTrips is that the children are round trips, with these commands among theirs, and nothing else of Redis.
func wantRoundTrips(t *testing.T, name string, span tracingtest.Span, children []tracingtest.Span, commands ...string) {
	t.Helper()
	var sent []string
	for _, child := range children {
		if child.Attributes["db.system.name"] != "redis" {
			continue
		}
		sent = append(sent, strings.Fields(child.Attributes["db.operation.name"])...)
		if child.Attributes["server.address"] == "" || child.Trace != span.Trace || child.Server || child.Failed {
			t.Errorf("%s has the round trip %+v", name, child)
		}
		for attribute := range child.Attributes {
			if !slices.Contains([]string{"db.system.name", "db.operation.name", "db.operation.batch.size", "server.address", "mintkeep.redis.shared"}, attribute) {
				t.Errorf("a round trip has the attribute %s", attribute)
			}
		}
	}
	for _, command := range commands {
		if !slices.Contains(sent, command) {
			t.Errorf("%s sends %v, want %s among them", name, sent, command)
		}
	}
}

// wantSignature is that one request has signed a token, as its child.
func wantSignature(t *testing.T, c *tracingtest.Collector) {
	t.Helper()
	all := map[string]tracingtest.Span{}
	for _, s := range c.Spans() {
		all[s.ID] = s
	}
	signed := 0
	for s := range maps.Values(all) {
		if s.Name == "sign JWT" && all[s.Parent].Name == "POST /oauth/token" {
			signed++
		}
	}
	if signed != 1 {
		t.Errorf("%d signatures, want one", signed)
	}
}

// The id of the trace is in the request's line in the log, in the audit event, and in the span.
func TestTraceIDs(t *testing.T) {
	c := tracingtest.New(t)
	s := tracedServer(t, storetest.Embedded(t), c)
	s.Register(t, servertest.M{"client_id": "billing"})
	span, _ := requestSpan(t, c, "POST /admin/clients")
	event := s.Admin(t, http.MethodGet, "/admin/audit", nil).Want(t, http.StatusOK, "").JSON(t)["items"].([]any)[0].(servertest.M)
	if event["action"] != "client.created" || event["trace_id"] != span.Trace {
		t.Errorf("the event is %v, want the trace %s", event, span.Trace)
	}
	if line := requestLine(t, s, "/admin/clients"); line["trace_id"] != span.Trace {
		t.Errorf("the log has %v, want the trace %s", line, span.Trace)
	}

	off := servertest.New(t, storetest.Embedded(t))
	off.Register(t, servertest.M{"client_id": "billing"})
	event = off.Admin(t, http.MethodGet, "/admin/audit", nil).Want(t, http.StatusOK, "").JSON(t)["items"].([]any)[0].(servertest.M)
	if line := requestLine(t, off, "/admin/clients"); line["trace_id"] != nil || event["trace_id"] != nil {
		t.Errorf("without tracing the log has %v, and the event is %v", line, event)
	}
}

// requestLine is the last line of the log about a request to the route.
func requestLine(t *testing.T, s *servertest.Server, route string) (found servertest.M) {
	t.Helper()
	for line := range strings.Lines(s.Log.String()) {
		var m servertest.M
		if json.Unmarshal([]byte(line), &m) == nil && m["msg"] == "request" && m["route"] == route {
			found = m
		}
	}
	if found == nil {
		t.Fatalf("the log has no request to %s", route)
	}
	return found
}

// No span has anything of the caller's, of what is stored, or of what opens it.
func TestSpansTellNothing(t *testing.T) {
	c := tracingtest.New(t)
	s := tracedServer(t, storetest.Redis(t).Backend(t), c, "MINTKEEP_TRUSTED_PROXIES=127.0.0.1,::1")
	user := s.User(t, servertest.M{"email": "canary@example.com"})
	key := s.Key(t, user, servertest.M{"name": "canary-key", "scope": "read"})
	client := s.Register(t, servertest.M{"client_id": "canary-client", "scope": "read mintkeep:introspect"})
	token := s.Token(t, client)
	s.Introspect(t, client, token)
	s.Introspect(t, client, key.Plain)
	s.Me(t, key.Plain)
	s.Get(t, "/canary-path?canary-query=1", func(r *http.Request) {
		r.Header.Set("User-Agent", "canary-agent")
		r.Header.Set("X-Forwarded-For", "192.0.2.77")
		r.Header.Set("X-Request-Id", "canary-request")
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		r.Header.Set("Tracestate", "canary=state")
	})
	s.Do(t, "CANARY", "/healthz", http.NoBody)
	s.Post(t, "/oauth/token", grantCC, servertest.Client{ID: "canary-unknown", Secret: "canary-guess"}.Basic())
	s.Revoke(t, client, token)
	requestSpan(t, c, "POST /oauth/revoke")
	requestSpan(t, c, "GET")
	requestSpan(t, c, "_OTHER")
	raw := c.Raw()
	for _, secret := range []string{
		"canary", "CANARY", key.ID, key.Plain, key.Plain[4:20], client.Secret, token, strings.Split(token, ".")[1], user.ID, s.AdminToken,
		"192.0.2.77", "HELLO", "AUTH", "mk:t:", "mk:c:", "mk:k:",
	} {
		if i := strings.Index(raw, secret); i >= 0 {
			t.Errorf("the spans have %q: …%q…", secret, raw[max(0, i-40):min(len(raw), i+60)])
		}
	}
	if strings.Contains(s.Log.String(), "canary-of-the-collector") {
		t.Error("the log has the header for the collector")
	}
	if got := c.Header().Get("X-Api-Key"); got != "canary-of-the-collector" {
		t.Errorf("the collector gets the header %q", got)
	}
}

// A trusted proxy's trace is continued as it was sampled. A stranger's gets a link, and does not decide what is sampled.
func TestTraceparent(t *testing.T) {
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	sampled := servertest.Header("Traceparent", "00-"+trace+"-"+parent+"-01")
	c := tracingtest.New(t)
	tracedServer(t, storetest.Embedded(t), c).Get(t, "/readyz", sampled)
	if span, _ := requestSpan(t, c, "GET /readyz"); span.Trace == trace || span.Parent != "" || !slices.Equal(span.Links, []string{trace}) {
		t.Errorf("a stranger's request is %+v, want a trace of its own with a link", span)
	}
	c = tracingtest.New(t)
	proxied := tracedServer(t, storetest.Embedded(t), c, "MINTKEEP_TRUSTED_PROXIES=127.0.0.1,::1")
	proxied.Get(t, "/readyz", sampled)
	if span, _ := requestSpan(t, c, "GET /readyz"); span.Trace != trace || span.Parent != parent || span.Links != nil {
		t.Errorf("a trusted proxy's request is %+v, want the trace and the parent of its traceparent", span)
	}
	for name, header := range map[string]string{
		"malformed": "00-" + trace + "-01", "all zero": "00-" + strings.Repeat("0", 32) + "-" + parent + "-01", "another version": "ff-" + trace + "-" + parent + "-01",
	} {
		c := tracingtest.New(t)
		s := tracedServer(t, storetest.Embedded(t), c, "MINTKEEP_TRUSTED_PROXIES=127.0.0.1,::1")
		s.Get(t, "/readyz", servertest.Header("Traceparent", header))
		if span, _ := requestSpan(t, c, "GET /readyz"); span.Parent != "" || span.Links != nil {
			t.Errorf("%s: %+v", name, span)
		}
	}

	c = tracingtest.New(t)
	never := []string{"OTEL_TRACES_SAMPLER=parentbased_always_off"}
	stranger := tracedServer(t, storetest.Embedded(t), c, never...)
	stranger.Get(t, "/readyz", sampled)
	trusted := tracedServer(t, storetest.Embedded(t), c, append(never, "MINTKEEP_TRUSTED_PROXIES=127.0.0.1,::1")...)
	trusted.Get(t, "/readyz", sampled)
	requestSpan(t, c, "GET /readyz")
	for _, span := range c.Spans() {
		if span.Trace != trace {
			t.Errorf("%+v is sampled, though its caller must not decide that", span)
		}
	}
	if line := requestLine(t, stranger, "/readyz"); line["trace_id"] == nil {
		t.Error("the log has no id of a trace that is not sampled")
	}
}

// A collector that is gone, hangs, or wants less costs the spans and one line in the log, and no request waits for it.
func TestCollectorFails(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	for name, answer := range map[string]http.HandlerFunc{
		"gone": nil,
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
		"429": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"rejects": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
	} {
		t.Run(name, func(t *testing.T) {
			c := tracingtest.New(t)
			c.Answer(answer)
			if answer == nil {
				c.URL = "http://127.0.0.1:1"
			}
			const queue = 16
			s := tracedServer(t, storetest.Embedded(t), c, "OTEL_BSP_MAX_QUEUE_SIZE=16", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=4", "OTEL_EXPORTER_OTLP_TIMEOUT=300")
			const lost = "spans could not be exported"
			ask := func() { s.Get(t, "/readyz").Want(t, http.StatusOK, "") }
			until(t, "lost spans are logged", func() bool { ask(); return strings.Contains(s.Log.String(), lost) })
			before := c.Posts()
			for range 10 * queue {
				ask()
			}
			until(t, "more spans are lost", func() bool { ask(); return answer == nil || c.Posts() > before+1 })
			if lines := strings.Count(s.Log.String(), lost); lines != 1 {
				t.Errorf("%d lines in the log, want one a minute", lines)
			}
			if answer == nil {
				return
			}
			// What waits is no more than the queue, and a batch that is under way.
			c.Answer(nil)
			stop := time.Now()
			until(t, "what waits is sent", func() bool { return len(c.Spans()) > 0 || time.Since(stop) > time.Second })
			if n := len(c.Spans()); n > 2*queue+4 {
				t.Errorf("%d spans had waited, with a queue of %d", n, queue)
			}
		})
	}
	close(release)
}
