package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// KeySets says what is known of the key sets that are fetched from clients.
type KeySets struct {
	Sets    int           // that can be used
	Overdue int           // of these, past their time because they cannot be fetched
	Oldest  time.Duration // since the oldest one in use was fetched
}

// KeysFetched counts a fetch of a key set.
func (m *Metrics) KeysFetched(succeeded bool) {
	switch {
	case m == nil:
	case succeeded:
		m.fetched.Inc()
	default:
		m.notFetched.Inc()
	}
}

func (m *Metrics) registerKeySets() {
	fetches := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_remote_key_fetches_total",
		Help: "Fetches of the key sets of clients (jwks_uri), by result.",
	}, []string{"result"})
	m.registry.MustRegister(fetches)
	m.fetched = fetches.WithLabelValues("ok")
	m.notFetched = fetches.WithLabelValues("failed")
}

// keySets reads what is known of the key sets once a scrape.
type keySets struct {
	read                  func() KeySets
	sets, overdue, oldest *prometheus.Desc
}

func newKeySets(read func() KeySets) *keySets {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("mintkeep_remote_key_"+name, help, nil, nil)
	}
	return &keySets{
		read:    read,
		sets:    desc("sets", "Fetched key sets that can be used."),
		overdue: desc("sets_overdue", "Fetched key sets that are used past their time because they cannot be fetched again."),
		oldest:  desc("oldest_seconds", "Seconds since the oldest key set in use was fetched."),
	}
}

func (k *keySets) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{k.sets, k.overdue, k.oldest} {
		ch <- d
	}
}

func (k *keySets) Collect(ch chan<- prometheus.Metric) {
	now := k.read()
	for d, value := range map[*prometheus.Desc]float64{k.sets: float64(now.Sets), k.overdue: float64(now.Overdue), k.oldest: now.Oldest.Seconds()} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
}
