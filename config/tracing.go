package config

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Tracing is what the standard variables of OpenTelemetry (OTEL_…) say, as far as Mintkeep follows them. The zero value is off.
type Tracing struct {
	Exporter string // empty: off; TraceOTLP or TraceConsole

	// Endpoint, Headers and Timeout are those of OTLP: the URL to which batches are posted, and for how long each is tried.
	Endpoint string
	Headers  map[string]Secret
	Timeout  time.Duration

	Service    string
	Attributes map[string]string // of the resource
	Sampler    string            // one of traceSamplers
	Ratio      float64           // of the samplers that end with traceidratio

	// Of the batches: how many spans wait at most, how many are sent together, how often, and for how long.
	Queue, Batch         int
	Delay, ExportTimeout time.Duration
}

// The exporters of traces.
const (
	TraceOTLP    = "otlp"
	TraceConsole = "console"
)

// The defaults of the specification of OpenTelemetry, but for the ratio, which is 1 there.
const (
	traceEndpoint = "http://localhost:4318"
	tracePath     = "/v1/traces"
	traceProtocol = "http/protobuf"
	traceSampler  = "parentbased_traceidratio"
	traceRatio    = 0.01

	maxTraceQueue = 1_000_000
	maxTraceTime  = 10 * time.Minute
)

var traceSamplers = []string{
	"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", traceSampler,
}

// Enabled is whether there is anything to do for traces.
func (t Tracing) Enabled() bool { return t.Exporter != "" }

// tracing reads the variables. It is off unless an exporter or an endpoint is set.
func (l *loader) tracing() Tracing {
	if strings.EqualFold(l.src.Get("OTEL_SDK_DISABLED"), "true") {
		return Tracing{}
	}
	t := Tracing{Exporter: l.traceExporter()}
	if !t.Enabled() {
		return Tracing{}
	}
	if t.Exporter == TraceOTLP {
		t.Endpoint = l.traceEndpoint()
		t.Headers = l.traceHeaders()
		t.Timeout = otel(l, 10*time.Second, milliseconds, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
		otel(l, traceProtocol, parseTraceProtocol, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	t.Attributes = otel(l, nil, otelPairs, "OTEL_RESOURCE_ATTRIBUTES")
	service := t.Attributes["service.name"]
	if service == "" {
		service = "mintkeep"
	}
	t.Service = otel(l, service, asIs, "OTEL_SERVICE_NAME")
	t.Sampler = otel(l, traceSampler, oneOf(traceSamplers...), "OTEL_TRACES_SAMPLER")
	t.Ratio = otel(l, traceRatio, parseTraceRatio, "OTEL_TRACES_SAMPLER_ARG")
	t.Queue = otel(l, 2048, traceCount, "OTEL_BSP_MAX_QUEUE_SIZE")
	t.Batch = min(t.Queue, otel(l, 512, traceCount, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"))
	t.Delay = otel(l, 5*time.Second, milliseconds, "OTEL_BSP_SCHEDULE_DELAY")
	t.ExportTimeout = otel(l, 30*time.Second, milliseconds, "OTEL_BSP_EXPORT_TIMEOUT")
	return t
}

func (l *loader) traceExporter() string {
	fallback := ""
	if l.src.Get("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || l.src.Get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" {
		fallback = TraceOTLP
	}
	exporter := otel(l, fallback, oneOf("none", TraceOTLP, TraceConsole), "OTEL_TRACES_EXPORTER")
	if exporter == "none" {
		return ""
	}
	return exporter
}

// traceEndpoint is the URL for traces: as it is set for them, or below the one for all signals.
func (l *loader) traceEndpoint() string {
	below := otel(l, traceEndpoint, parseTraceURL, "OTEL_EXPORTER_OTLP_ENDPOINT")
	return otel(l, strings.TrimSuffix(below, "/")+tracePath, parseTraceURL, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
}

// traceHeaders are secret: mostly the key of a service that takes traces.
func (l *loader) traceHeaders() map[string]Secret {
	headers := map[string]Secret{}
	for name, value := range otel(l, nil, otelHeaders, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS") {
		headers[name] = Secret(value)
	}
	return headers
}

// otelExamples are values that are accepted.
var otelExamples = map[string]string{
	"OTEL_TRACES_EXPORTER": TraceOTLP, "OTEL_TRACES_SAMPLER": traceSampler, "OTEL_TRACES_SAMPLER_ARG": "0.01",
	"OTEL_EXPORTER_OTLP_ENDPOINT": traceEndpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": traceEndpoint + tracePath,
	"OTEL_EXPORTER_OTLP_PROTOCOL": traceProtocol, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": traceProtocol,
	"OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=…", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-api-key=…",
	"OTEL_EXPORTER_OTLP_TIMEOUT": "10000", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "10000",
	"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=production",
	"OTEL_BSP_MAX_QUEUE_SIZE":  "2048", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512",
	"OTEL_BSP_SCHEDULE_DELAY": "5000", "OTEL_BSP_EXPORT_TIMEOUT": "30000",
}

// otel parses the first of the variables that has a value. An empty one is not set, as the specification has it.
func otel[T any](l *loader, fallback T, parse func(string) (T, error), names ...string) T {
	for _, name := range names {
		text := l.src.Get(name)
		if text == "" {
			continue
		}
		value, err := parse(text)
		if err != nil {
			l.otel = append(l.otel, Mistake{Setting: name, Problem: err.Error(), Example: name + "=" + otelExamples[name]})
			return fallback
		}
		return value
	}
	return fallback
}

func parseTraceProtocol(s string) (string, error) {
	if s != traceProtocol {
		return "", errors.New("must be " + traceProtocol + ", which collectors accept on port 4318: gRPC is not part of this program")
	}
	return s, nil
}

func parseTraceURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("must be an http or https URL without credentials and without a query")
	}
	return s, nil
}

func parseTraceRatio(s string) (float64, error) {
	ratio, err := strconv.ParseFloat(s, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		return 0, errors.New("must be a number from 0 to 1")
	}
	return ratio, nil
}

func traceCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxTraceQueue {
		return 0, errors.New("must be a number from 1 to " + strconv.Itoa(maxTraceQueue))
	}
	return n, nil
}

func milliseconds(s string) (time.Duration, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > int(maxTraceTime/time.Millisecond) {
		return 0, errors.New("must be a number of milliseconds from 1 to " + strconv.Itoa(int(maxTraceTime/time.Millisecond)))
	}
	return time.Duration(n) * time.Millisecond, nil
}

// otelPairs reads key=value pairs, separated by commas; values are percent-encoded.
func otelPairs(s string) (map[string]string, error) {
	pairs := map[string]string{}
	for pair := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, encoded, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(encoded))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
			return nil, errors.New("must be name=value pairs, separated by commas, with percent-encoded values")
		}
		pairs[name] = value
	}
	return pairs, nil
}

func otelHeaders(s string) (map[string]string, error) {
	pairs, err := otelPairs(s)
	for name, value := range pairs {
		if strings.ContainsFunc(name+value, func(r rune) bool { return r < ' ' || r > '~' }) || strings.ContainsAny(name, " :") {
			return nil, errors.New("must be names and values of HTTP headers")
		}
	}
	return pairs, err
}
