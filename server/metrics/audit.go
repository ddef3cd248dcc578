package metrics

import "github.com/prometheus/client_golang/prometheus"

// Where an event of the audit log is written.
const (
	AuditStore = "store" // Redis
	AuditCopy  = "copy"  // what MINTKEEP_AUDIT_LOG names
)

// AuditNotWritten counts events of the audit log that could not be written to one of the places.
func (m *Metrics) AuditNotWritten(to string, events int) {
	if m != nil {
		m.notAudited[to].Add(float64(events))
	}
}

func (m *Metrics) registerAudit() {
	lost := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_audit_not_written_total",
		Help: "Events that could not be written to the audit log in Redis (store), or to its copy (MINTKEEP_AUDIT_LOG).",
	}, []string{"to"})
	m.registry.MustRegister(lost)
	m.notAudited = map[string]prometheus.Counter{
		AuditStore: lost.WithLabelValues(AuditStore), AuditCopy: lost.WithLabelValues(AuditCopy),
	}
}
