package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	collected "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/mintkeep/mintkeep/config"
)

// firstRetry is the least wait after the first failure of a batch; it doubles with each. The collector may ask for a longer one.
const firstRetry = time.Second

// otlp posts spans to a collector: OTLP over HTTP with protobuf. OpenTelemetry's own client links gRPC, even for HTTP.
type otlp struct {
	config  config.Tracing
	version string
	http    *http.Client
}

func newOTLP(c config.Tracing, version string) *otlptrace.Exporter {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return otlptrace.NewUnstarted(&otlp{c, version, &http.Client{
		Transport: transport,
		// A redirect would carry the headers elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
}

// Start has nothing to do: each batch finds its connection.
func (o *otlp) Start(context.Context) error { return nil }

// Stop closes the connections.
func (o *otlp) Stop(context.Context) error {
	o.http.CloseIdleConnections()
	return nil
}

// UploadTraces posts a batch. What the collector cannot take now is posted again, until the time of the batch is over.
func (o *otlp) UploadTraces(ctx context.Context, spans []*collected.ResourceSpans) error {
	ctx, cancel := context.WithTimeout(ctx, o.config.Timeout)
	defer cancel()
	// On the wire TracesData is an ExportTraceServiceRequest, whose package has the gRPC service.
	body, err := proto.Marshal(&collected.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	for wait := firstRetry; ; wait *= 2 {
		later, err := o.post(ctx, body)
		if later < 0 || err == nil {
			return err
		}
		timer := time.NewTimer(max(wait, later))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// post sends a batch once. later is how long the collector asks to wait for the next attempt; negative: there is to be none.
func (o *otlp) post(ctx context.Context, body []byte) (later time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.config.Endpoint, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	for name, value := range o.config.Headers {
		r.Header.Set(name, value.Reveal())
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", "mintkeep/"+o.version)
	response, err := o.http.Do(r)
	if err != nil {
		var inURL *url.Error // which names the endpoint, that the operator knows
		if errors.As(err, &inURL) {
			err = inURL.Err
		}
		return 0, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	err = fmt.Errorf("the collector answers %s", response.Status)
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return time.Duration(max(0, seconds)) * time.Second, err
	}
	return -1, err
}
