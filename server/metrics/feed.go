package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
)

// Why a guard is told to forget all its answers.
const (
	ResetFirst     = "first"     // it polls for the first time
	ResetMalformed = "malformed" // what it sent is no cursor
	ResetBroken    = "broken"    // its cursor is not valid any more: a trim, a failover, a restore
)

var propagationBuckets = []float64{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5}

// feedCounts counts what guards are told.
type feedCounts struct {
	voids, resets, broken map[string]prometheus.Counter
	propagation           prometheus.Observer
}

// FeedVoid counts a void that is appended, by what it is of.
func (m *Metrics) FeedVoid(kind string) {
	if m != nil {
		count(m.feed.voids, kind)
	}
}

// FeedReset counts a guard that is told to forget all its answers.
func (m *Metrics) FeedReset(reason string) {
	if m != nil {
		count(m.feed.resets, reason)
	}
}

// FeedBroken counts that the feed begins not to answer guards, by the reasons of [feed.Reasons].
func (m *Metrics) FeedBroken(reason string) {
	if m != nil {
		count(m.feed.broken, reason)
	}
}

// FeedPropagated counts an answer with voids, by how long they were on their way in this replica.
func (m *Metrics) FeedPropagated(d time.Duration) {
	if m != nil {
		m.feed.propagation.Observe(d.Seconds())
	}
}

func (m *Metrics) registerFeed() {
	voids := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_feed_voids_total",
		Help: "Voids appended to the feed, with those that are sent again, by what was revoked or changed.",
	}, []string{"kind"})
	resets := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_feed_resets_total",
		Help: "Polls answered with a reset, by reason: the guard forgets all its answers.",
	}, []string{"reason"})
	broken := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mintkeep_feed_broken_total",
		Help: "Times that the feed began not to answer guards, by reason.",
	}, []string{"reason"})
	propagation := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "mintkeep_feed_propagation_seconds",
		Help:    "Time from the reading of a void by this replica to the answers that carry it.",
		Buckets: propagationBuckets,
	})
	m.registry.MustRegister(voids, resets, broken, propagation)
	m.feed = feedCounts{
		voids: children(voids, store.VoidKinds), resets: children(resets, []string{ResetFirst, ResetMalformed, ResetBroken}),
		broken: children(broken, feed.Reasons()), propagation: propagation,
	}
}

// feedState is the state of the feed.
type feedState struct {
	read              func() feed.Status
	subscribers, look *prometheus.Desc
}

func newFeedState(read func() feed.Status) *feedState {
	return &feedState{
		read:        read,
		subscribers: prometheus.NewDesc("mintkeep_feed_subscribers", "Polls of guards that wait at this replica.", nil, nil),
		look: prometheus.NewDesc("mintkeep_feed_look_age_seconds",
			"Seconds since the last successful look at the feed; absent while no guard polls.", nil, nil),
	}
}

func (f *feedState) Describe(ch chan<- *prometheus.Desc) {
	ch <- f.subscribers
	ch <- f.look
}

func (f *feedState) Collect(ch chan<- prometheus.Metric) {
	now := f.read()
	ch <- prometheus.MustNewConstMetric(f.subscribers, prometheus.GaugeValue, float64(now.Waiting))
	if now.Polled && now.LookAge >= 0 {
		ch <- prometheus.MustNewConstMetric(f.look, prometheus.GaugeValue, now.LookAge.Seconds())
	}
}
