package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// keyAge is the age of the active signing key. It is absent while no key is loaded: zero
// would mean a new key.
type keyAge struct {
	since func() time.Time
	now   func() time.Time
	desc  *prometheus.Desc
}

func newKeyAge(since, now func() time.Time) *keyAge {
	if now == nil {
		now = time.Now
	}
	return &keyAge{
		since: since,
		now:   now,
		desc: prometheus.NewDesc("mintkeep_signing_key_age_seconds",
			"Seconds since the active signing key became active.", nil, nil),
	}
}

func (k *keyAge) Describe(ch chan<- *prometheus.Desc) { ch <- k.desc }

func (k *keyAge) Collect(ch chan<- prometheus.Metric) {
	since := k.since()
	if since.IsZero() {
		return
	}
	// Another replica's clock may be ahead of ours: the age is never negative.
	age := max(0, k.now().Sub(since))
	ch <- prometheus.MustNewConstMetric(k.desc, prometheus.GaugeValue, age.Seconds())
}
