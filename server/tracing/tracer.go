package tracing

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/mintkeep/mintkeep/config"
)

// scope is the instrumentation scope of the spans (OpenTelemetry).
const scope = "github.com/mintkeep/mintkeep"

// Options for [New]. All are required.
type Options struct {
	Config  config.Tracing
	Version string    // of this program
	Console io.Writer // for the exporter "console"
	Logger  *slog.Logger
}

// Tracer starts the spans of requests. Its methods are safe for concurrent use, and a nil Tracer makes no span.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New makes a Tracer; it is nil if tracing is off. The error is that of the console.
func New(o Options) (*Tracer, error) {
	c := o.Config
	if !c.Enabled() {
		return nil, nil //nolint:nilnil // a nil Tracer makes no span
	}
	to, err := newExporter(o)
	if err != nil {
		return nil, err
	}
	// By default the SDK writes its own errors to stderr, past the logger. An operator can do nothing about them.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Logger.Debug("tracing", "error", err) }))
	provider := sdk.NewTracerProvider(
		sdk.WithResource(resourceOf(c, o.Version)),
		sdk.WithSampler(samplerOf(c)),
		sdk.WithoutPanicRecording(),
		sdk.WithBatcher(to,
			sdk.WithMaxQueueSize(c.Queue), sdk.WithMaxExportBatchSize(c.Batch),
			sdk.WithBatchTimeout(c.Delay), sdk.WithExportTimeout(c.ExportTimeout)),
	)
	return &Tracer{provider, provider.Tracer(scope, trace.WithInstrumentationVersion(o.Version))}, nil
}

func newExporter(o Options) (sdk.SpanExporter, error) {
	e := &exporter{log: o.Logger}
	if o.Config.Exporter == config.TraceConsole {
		console, err := stdouttrace.New(stdouttrace.WithWriter(o.Console))
		e.SpanExporter = console
		return e, err
	}
	e.SpanExporter = newOTLP(o.Config, o.Version)
	return e, nil
}

// resourceOf describes this process. Nothing is looked up on the machine: its name is the operator's to tell.
func resourceOf(c config.Tracing, version string) *resource.Resource {
	attributes := []attribute.KeyValue{
		attribute.String("service.version", version),
		attribute.String("service.instance.id", rand.Text()),
		attribute.String("telemetry.sdk.name", "opentelemetry"),
		attribute.String("telemetry.sdk.language", "go"),
	}
	for name, value := range c.Attributes {
		attributes = append(attributes, attribute.String(name, value))
	}
	return resource.NewSchemaless(append(attributes, attribute.String("service.name", c.Service))...) // of two, the last counts
}

func samplerOf(c config.Tracing) sdk.Sampler {
	name, parentBased := strings.CutPrefix(c.Sampler, "parentbased_")
	var s sdk.Sampler
	switch name {
	case "always_on":
		s = sdk.AlwaysSample()
	case "always_off":
		s = sdk.NeverSample()
	default:
		s = sdk.TraceIDRatioBased(c.Ratio)
	}
	if parentBased {
		return sdk.ParentBased(s)
	}
	return s
}

// Close exports the spans that wait, at most until ctx is done.
func (t *Tracer) Close(ctx context.Context) {
	if t != nil {
		_ = t.provider.Shutdown(ctx) // what is lost was reported
	}
}
