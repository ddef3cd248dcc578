package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// reportEvery is how often it is logged that spans cannot be exported.
const reportEvery = time.Minute

// exporter passes spans on, and reports those that were lost.
type exporter struct {
	sdk.SpanExporter
	log *slog.Logger

	mu       sync.Mutex
	lost     int // since the last report
	reported time.Time
}

// ExportSpans never fails: a failure is reported here.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost += len(spans)
	if now := time.Now(); now.Sub(e.reported) >= reportEvery {
		e.log.Warn("spans could not be exported, and are lost", "spans", e.lost, "error", err)
		e.reported, e.lost = now, 0
	}
	return nil
}
