package storetest

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy is a line to a server that a test may cut, block or slow down. It begins in good order.
type Proxy struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

// NewProxy makes a line to a server's host:port, for this test.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // the toxics do not heed the logger that they are given
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &Proxy{t, toxiproxy.NewProxy(api, t.Name(), FreeAddr(t), upstream)}
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.proxy.Stop)
	return p
}

// Addr is the host:port at which the line begins.
func (p *Proxy) Addr() string { return p.proxy.Listen }

// URL is what MINTKEEP_REDIS_URL would be for a single server at the end of the line.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }

// Cut breaks every connection and refuses new ones, until [Proxy.Restore].
func (p *Proxy) Cut() { p.proxy.Stop() }

// Restore undoes all faults of the line. Connections that were blocked break.
func (p *Proxy) Restore() {
	p.t.Helper()
	p.proxy.Toxics.ResetToxics(p.t.Context())
	if !p.proxy.Enabled {
		if err := p.proxy.Start(); err != nil {
			p.t.Fatal(err)
		}
	}
}

// Block lets connections be made and stay, but swallows whatever is sent, in both directions.
func (p *Proxy) Block() {
	p.t.Helper()
	p.add("upstream", "timeout", map[string]any{"timeout": 0})
	p.add("downstream", "timeout", map[string]any{"timeout": 0})
}

// Delay holds each answer back for d, give or take the jitter.
func (p *Proxy) Delay(d, jitter time.Duration) {
	p.t.Helper()
	p.add("downstream", "latency", map[string]any{"latency": d.Milliseconds(), "jitter": jitter.Milliseconds()})
}

// Throttle lets so many KB a second through, each way.
func (p *Proxy) Throttle(kilobytes int) {
	p.t.Helper()
	p.add("upstream", "bandwidth", map[string]any{"rate": kilobytes})
	p.add("downstream", "bandwidth", map[string]any{"rate": kilobytes})
}

// Slice sends answers in pieces of some bytes, with pauses between them.
func (p *Proxy) Slice(bytes int, pause time.Duration) {
	p.t.Helper()
	p.add("downstream", "slicer", map[string]any{"average_size": bytes, "size_variation": bytes / 2, "delay": pause.Microseconds()})
}

// Reset resets each connection after some bytes of answers: in the middle of one.
func (p *Proxy) Reset(after int) {
	p.t.Helper()
	p.add("downstream", "limit_data", map[string]any{"bytes": after})
}

func (p *Proxy) add(stream, toxic string, attributes map[string]any) {
	p.t.Helper()
	settings, err := json.Marshal(map[string]any{"type": toxic, "stream": stream, "attributes": attributes})
	if err == nil {
		_, err = p.proxy.Toxics.AddToxicJson(bytes.NewReader(settings))
	}
	if err != nil {
		p.t.Fatalf("%s: %v", toxic, err)
	}
}
