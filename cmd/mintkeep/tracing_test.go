package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/server/tracing/tracingtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A server that OTEL_… tells to trace sends its spans, the last of them when it stops, and nothing of how it authenticates to Redis.
func TestTracing(t *testing.T) {
	t.Parallel()
	c := tracingtest.New(t)
	s := processtest.StartReady(t, append(processtest.OnRedis(asDocumented(t, storetest.Redis(t))),
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_TRACES_SAMPLER=always_on", "OTEL_SERVICE_NAME=auth-of-the-test", "OTEL_BSP_SCHEDULE_DELAY=600000")...)
	token := s.Token(t, s.Register(t, `{"client_id":"billing","scope":"read"}`))
	s.Signal(t, syscall.SIGTERM)
	if err := s.Wait(); err != nil {
		t.Fatalf("the server ends with %v\n%s", err, s.Log)
	}
	names := map[string]bool{}
	for _, span := range c.Spans() {
		names[span.Name] = true
	}
	for _, name := range []string{"POST /admin/clients", "POST /oauth/token", "sign JWT", "redis HGETALL"} {
		if !names[name] {
			t.Errorf("there is no span %s: %v", name, names)
		}
	}
	raw := c.Raw()
	for _, secret := range []string{"a-long-password", "AUTH", "HELLO", "billing", token, processtest.AdminToken} {
		if strings.Contains(raw, secret) {
			t.Errorf("the spans have %q", secret)
		}
	}
	if !strings.Contains(raw, "auth-of-the-test") {
		t.Error("the spans do not name the service")
	}
}

// On the console each span is JSON on stdout, and grpc is a wrong configuration that says what to set.
func TestTracingSettings(t *testing.T) {
	t.Parallel()
	s := processtest.StartReady(t, append(processtest.OnRedis(storetest.Redis(t).URL()), "OTEL_TRACES_EXPORTER=console", "OTEL_TRACES_SAMPLER_ARG=1", "OTEL_BSP_SCHEDULE_DELAY=5")...)
	processtest.Eventually(t, processtest.Patience, func() bool { return strings.Contains(s.Stdout.String(), `"Name":"GET /readyz"`) }, s.Stdout.String)
	if got := s.Get("/readyz"); !got.Is(http.StatusOK) {
		t.Errorf("got %s", got)
	}
	got := mintkeep(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, "", "serve", "--addr=127.0.0.1:0", "--metrics-addr=")
	if got.code != exitUsage || !strings.Contains(got.stderr, "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf") {
		t.Errorf("exit code %d, %s", got.code, got.stderr)
	}
}
