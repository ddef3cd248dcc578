package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintkeep/mintkeep/store"
)

var tokenFormats = []string{"jwt", "opaque"}

// TokenIssued counts an access token by its format, jwt or opaque.
func (m *Metrics) TokenIssued(format string) {
	if m != nil {
		count(m.issued, format)
	}
}

// TokenRefused counts a rejected token request by the error code of the answer.
func (m *Metrics) TokenRefused(reason string) {
	if m != nil {
		count(m.refused, reason)
	}
}

// Introspected counts an introspection that was answered.
func (m *Metrics) Introspected(active bool) {
	switch {
	case m == nil:
	case active:
		m.active.Inc()
	default:
		m.inactive.Inc()
	}
}

func (m *Metrics) registerTokens() {
	issued := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_tokens_issued_total",
		Help: "Access tokens issued, by format.",
	}, []string{"format"})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_tokens_refused_total",
		Help: "Token requests rejected, by OAuth error code.",
	}, []string{"reason"})
	introspections := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_introspections_total",
		Help: "Introspections answered, by result.",
	}, []string{"result"})
	m.registry.MustRegister(issued, refused, introspections)

	m.issued = children(issued, tokenFormats)
	m.refused = children(refused, store.TokenErrors)
	m.active = introspections.WithLabelValues("active")
	m.inactive = introspections.WithLabelValues("inactive")
}

// children are the counters of these label values, and of "other". They stand at zero from
// the start, so that a rate includes the first event.
func children(vec *prometheus.CounterVec, values []string) map[string]prometheus.Counter {
	all := map[string]prometheus.Counter{other: vec.WithLabelValues(other)}
	for _, v := range values {
		all[v] = vec.WithLabelValues(v)
	}
	return all
}

func count(counters map[string]prometheus.Counter, value string) {
	c, ok := counters[value]
	if !ok {
		c = counters[other]
	}
	c.Inc()
}
