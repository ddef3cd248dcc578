package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
)

func tracing(t *testing.T, environ ...string) config.Tracing {
	t.Helper()
	got, warnings := load(t, config.Source{Environ: environ})
	if len(warnings) > 0 {
		t.Errorf("got warnings %q", warnings)
	}
	return got.Tracing
}

func same(t *testing.T, got, want config.Tracing) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestTracingIsOff(t *testing.T) {
	for name, environ := range map[string][]string{
		"nothing set":                     nil,
		"a sampler alone":                 {"OTEL_TRACES_SAMPLER=always_on"},
		"none, with an endpoint":          {"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"},
		"disabled, with errors elsewhere": {"OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=jaeger"},
		"an empty endpoint is not set":    {"OTEL_EXPORTER_OTLP_ENDPOINT="},
	} {
		t.Run(name, func(t *testing.T) { same(t, tracing(t, environ...), config.Tracing{}) })
	}
}

func TestTracingDefaults(t *testing.T) {
	want := config.Tracing{
		Exporter: "otlp", Endpoint: "http://localhost:4318/v1/traces", Headers: map[string]config.Secret{}, Timeout: 10 * time.Second,
		Service: "mintkeep", Sampler: "parentbased_traceidratio", Ratio: 0.01,
		Queue: 2048, Batch: 512, Delay: 5 * time.Second, ExportTimeout: 30 * time.Second,
	}
	same(t, tracing(t, "OTEL_TRACES_EXPORTER=otlp"), want)
	want.Endpoint = "https://collector:4318/below/v1/traces"
	same(t, tracing(t, "OTEL_EXPORTER_OTLP_ENDPOINT=https://collector:4318/below/"), want)
	want.Exporter, want.Endpoint, want.Headers, want.Timeout = "console", "", nil, 0
	same(t, tracing(t, "OTEL_TRACES_EXPORTER=console"), want)
}

func TestTracingVariables(t *testing.T) {
	got := tracing(t,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://traces.example/otlp",
		"OTEL_EXPORTER_OTLP_HEADERS=x-api-key=a%2Cb, x-tenant = one", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_TIMEOUT=2000",
		"OTEL_SERVICE_NAME=auth", "OTEL_RESOURCE_ATTRIBUTES=service.name=ignored,deployment.environment.name=eu%20west",
		"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.5",
		"OTEL_BSP_MAX_QUEUE_SIZE=100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=200", "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_BSP_EXPORT_TIMEOUT=1000",
	)
	same(t, got, config.Tracing{
		Exporter: "otlp", Endpoint: "https://traces.example/otlp", Timeout: 2 * time.Second,
		Headers: map[string]config.Secret{"x-api-key": "a,b", "x-tenant": "one"},
		Service: "auth", Attributes: map[string]string{"service.name": "ignored", "deployment.environment.name": "eu west"},
		Sampler: "traceidratio", Ratio: 0.5, Queue: 100, Batch: 100, Delay: 100 * time.Millisecond, ExportTimeout: time.Second,
	})
}

// Each error names its variable, with the others of the configuration, and never the value.
func TestTracingMistakes(t *testing.T) {
	wrong := []string{
		"OTEL_TRACES_EXPORTER=canary", "OTEL_TRACES_SAMPLER=canary", "OTEL_TRACES_SAMPLER_ARG=NaN",
		"OTEL_EXPORTER_OTLP_ENDPOINT=canary:4317", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://canary:canary@collector", "OTEL_EXPORTER_OTLP_HEADERS=canary",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TIMEOUT=10s", "OTEL_RESOURCE_ATTRIBUTES=canary=%zz",
		"OTEL_BSP_MAX_QUEUE_SIZE=0", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=many", "OTEL_BSP_SCHEDULE_DELAY=-1", "OTEL_BSP_EXPORT_TIMEOUT=1e9",
	}
	got := mistakes(t, config.Source{Environ: append(slices.Clone(wrong), "MINTKEEP_TOKEN_TTL=canary")})
	if len(got) != len(wrong)+1 {
		t.Errorf("got %d errors, want %d:\n%s", len(got), len(wrong)+1, strings.Join(got, "\n"))
	}
	all := strings.Join(got, "\n")
	for _, w := range wrong {
		if name, _, _ := strings.Cut(w, "="); !strings.Contains(all, name+" must be") {
			t.Errorf("no error names %s", name)
		}
	}
	if strings.Contains(all, "canary") {
		t.Errorf("an error has a value:\n%s", all)
	}
	if !strings.Contains(all, "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf") {
		t.Errorf("grpc is rejected without naming http/protobuf:\n%s", all)
	}
}
