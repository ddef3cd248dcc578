package metrics

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Sources are what is read at each scrape.
type Sources struct {
	Version     string                   // for mintkeep_build_info; empty: "unknown"
	Pool        func() redisdb.PoolStats // the store's connections; nil: those series are absent
	Behind      func() bool              // whether the store is quarantined; nil: that series is absent
	ActiveSince func() time.Time         // when the signing key became active; nil or zero: its age is absent
	KeySets     func() KeySets           // the key sets that are fetched from clients; nil: those series are absent
	Feed        func() feed.Status       // nil: there is no feed, and those series are absent
	Now         func() time.Time         // nil: time.Now

	// State is asked at each scrape, and must return soon after ctx is done. Nil: those series are absent.
	State func(ctx context.Context) State
}

// Metrics counts. Its methods are safe for concurrent use and may be called on a nil receiver.
type Metrics struct {
	registry *prometheus.Registry

	requests       *table[request, prometheus.Counter]
	durations      *table[string, prometheus.Observer]
	issued         map[string]prometheus.Counter
	refused        map[string]prometheus.Counter
	active         prometheus.Counter
	inactive       prometheus.Counter
	fetched        prometheus.Counter
	notFetched     prometheus.Counter
	redisDurations *table[string, prometheus.Observer]
	redisErrors    *table[string, prometheus.Counter]
	feed           feedCounts
	notAudited     map[string]prometheus.Counter
}

// New returns Metrics with a registry of its own.
func New(from Sources) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registerHTTP()
	m.registerTokens()
	m.registerRedis()
	m.registerKeySets()
	m.registerFeed()
	m.registerAudit()
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(from.Version),
	)
	if from.Pool != nil {
		m.registry.MustRegister(newPool(from.Pool))
	}
	if from.Behind != nil {
		m.registry.MustRegister(newBehind(from.Behind))
	}
	if from.ActiveSince != nil {
		m.registry.MustRegister(newKeyAge(from.ActiveSince, from.Now))
	}
	if from.KeySets != nil {
		m.registry.MustRegister(newKeySets(from.KeySets))
	}
	if from.Feed != nil {
		m.registry.MustRegister(newFeedState(from.Feed))
	}
	if from.State != nil {
		m.registry.MustRegister(newState(from.State))
	}
	return m
}

// Handler serves the scrape. On a nil receiver it answers 404.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		// A scraper that hangs or loops must not keep the server busy.
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	})
}

func buildInfo(version string) prometheus.Collector {
	if version == "" {
		version = "unknown"
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "mintkeep_build_info",
		Help:        "Version of the running binary; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	return info
}
