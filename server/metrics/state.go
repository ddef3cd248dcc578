package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintkeep/mintkeep/store"
)

// State is what is read of the server and of Redis once a scrape.
type State struct {
	Ready              bool
	Breaker            string        // of [store.BreakerStates]
	SigningRotation    time.Duration // zero: it is manual
	CertificateExpires time.Time     // zero: the server does not use TLS itself

	// The others are known only if Redis has answered. All replicas count the same.
	Known       bool
	Totals      store.Totals
	Guards      *Guards  // nil: there is no feed
	RedisMemory *float64 // used memory by maxmemory, of the fullest primary; nil: there is no limit, or it is not told
}

// Guards counts the guards that were heard of within the last minute.
type Guards struct{ Current, Late int }

// stateTimeout bounds what a scrape asks of Redis.
const stateTimeout = time.Second

// state reads the state once a scrape. What is not known is absent: zero would look like an answer.
type state struct {
	read func(context.Context) State

	ready, breaker, rotation, certificate, clients, users, keys, guards, memory *prometheus.Desc
}

func newState(read func(context.Context) State) *state {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("mintkeep_"+name, help, labels, nil)
	}
	return &state{
		read:        read,
		ready:       desc("ready", "1 while this replica is ready, as /readyz says."),
		breaker:     desc("store_breaker", "1 for the state of the circuit breaker in front of Redis; in all but closed, requests get 503.", "state"),
		rotation:    desc("signing_key_rotation_seconds", "Age at which the signing key is rotated; absent with manual rotation."),
		certificate: desc("certificate_expiry_timestamp_seconds", "When the certificate of the server expires; absent without TLS."),
		clients:     desc("clients", "Registered clients."),
		users:       desc("users", "Users."),
		keys:        desc("active_keys", "API keys that are active."),
		guards:      desc("guards", "Guards that were heard of within the last minute, by any replica.", "state"),
		memory:      desc("redis_memory_used_ratio", "Used memory of Redis by maxmemory, of the fullest primary; absent without maxmemory."),
	}
}

func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.ready, s.breaker, s.rotation, s.certificate, s.clients, s.users, s.keys, s.guards, s.memory} {
		ch <- d
	}
}

func (s *state) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	now := s.read(ctx)
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(s.ready, oneIf(now.Ready))
	for _, name := range store.BreakerStates {
		gauge(s.breaker, oneIf(name == now.Breaker), name)
	}
	if now.SigningRotation > 0 {
		gauge(s.rotation, now.SigningRotation.Seconds())
	}
	if !now.CertificateExpires.IsZero() {
		gauge(s.certificate, float64(now.CertificateExpires.Unix()))
	}
	if !now.Known {
		return
	}
	gauge(s.clients, float64(now.Totals.Clients))
	gauge(s.users, float64(now.Totals.Users))
	gauge(s.keys, float64(now.Totals.ActiveKeys))
	if now.Guards != nil {
		gauge(s.guards, float64(now.Guards.Current), "current")
		gauge(s.guards, float64(now.Guards.Late), "late")
	}
	if now.RedisMemory != nil {
		gauge(s.memory, *now.RedisMemory)
	}
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
