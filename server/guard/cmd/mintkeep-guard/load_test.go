package main

import (
	"flag"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var requests = flag.Int("requests", 400, "how many requests each gateway answers while it is reloaded")

// callers call a gateway at once.
const callers = 8

// A gateway that is reloaded under load answers each request, lets none through that it must reject, and asks the sidecar on
// connections that it keeps. Mintkeep is asked once about a credential.
func TestGatewaysReloadUnderLoad(t *testing.T) {
	eachGateway(t, func(t *testing.T, name string) {
		gw := newGateway(t, name)
		token, key := gw.m.Token("billing", orders, "read"), gw.m.Key("ada", orders, "read")
		wants := []struct {
			credential string
			status     int
		}{{token, 200}, {"junk", 401}, {key, 200}, {gw.m.Token("billing", orders, "write"), 403}, {key, 200}, {"", 401}}
		var reloaded atomic.Bool // a request has reached the service by the new configuration
		again := gw.service(func(w http.ResponseWriter, r *http.Request) {
			gw.serve(w, r)
			reloaded.Store(true)
		})
		var answered atomic.Int64
		l := newLoad(gw, func(ask asker, i int) error {
			want := wants[i%len(wants)]
			if a, _, err := ask(want.credential); err != nil || a.StatusCode != want.status {
				return fmt.Errorf("request %d: %v %v, want %d", i, a, err, want.status)
			}
			answered.Add(1)
			return nil
		}, func(int) bool { return answered.Load() >= int64(*requests) && reloaded.Load() })
		gw.eventually("half of the requests", func() bool { return l.failed.Load() || answered.Load() >= int64(*requests)/2 })
		connections := gw.connections()
		gw.write(again)
		if err := gw.reload(gw); err != nil {
			t.Fatal(err)
		}
		l.wait()
		if most := 2 * max(callers, gw.threads); connections > most && !gw.introspects {
			t.Errorf("%d connections to the sidecar for %d requests, want at most %d", connections, *requests/2, most)
		}
		for credential := range map[string]bool{token: true, key: true} {
			if n := gw.m.Asked(credential); n != 1 {
				t.Errorf("Mintkeep was asked %d times", n)
			}
		}
		gw.mu.Lock()
		defer gw.mu.Unlock()
		for _, r := range gw.got {
			if c := r.Header.Get("Authorization"); c != "Bearer "+token && c != "Bearer "+key {
				t.Errorf("the service was asked with %q", c)
			}
		}
	})
}

// A revocation closes the route within MaxStale for all callers, also under load.
func TestGatewaysRevocationUnderLoad(t *testing.T) {
	eachGateway(t, func(t *testing.T, name string) {
		gw := newGateway(t, name)
		token := gw.m.Token("billing", orders, "read")
		var mu sync.Mutex
		var last time.Time // when a request was sent that was let through
		var through atomic.Int64
		var rejected [callers]atomic.Bool
		l := newLoad(gw, func(ask asker, i int) error {
			a, sent, err := ask(token)
			switch {
			case err != nil:
				return err
			case a.StatusCode == 200:
				mu.Lock()
				if sent.After(last) {
					last = sent
				}
				mu.Unlock()
				through.Add(1)
			case a.StatusCode == 401:
				rejected[i%callers].Store(true)
			default:
				return fmt.Errorf("%d %s", a.StatusCode, a.text)
			}
			return nil
		}, func(caller int) bool { return rejected[caller].Load() })
		gw.eventually("requests are let through", func() bool { return l.failed.Load() || through.Load() > 2*callers })
		gw.m.Revoke(token)
		revoked := time.Now()
		l.wait()
		if late := last.Sub(revoked); late > time.Second {
			t.Errorf("a request was let through that was sent %v after the revocation", late)
		}
	})
}

// load is many callers of a gateway.
type load struct {
	gw      *gateway
	failed  atomic.Bool
	problem chan error
	all     sync.WaitGroup
}

// asker asks for /orders/ with a credential, and tells when.
type asker func(credential string) (a answer, sent time.Time, err error)

// newLoad starts callers. Each does one thing after another until it is done or something fails. The i of one caller
// differ by the number of callers.
func newLoad(gw *gateway, do func(ask asker, i int) error, done func(caller int) bool) *load {
	l := &load{gw: gw, problem: make(chan error, callers)}
	for caller := range callers {
		l.all.Add(1)
		go func() {
			defer l.all.Done()
			kept, fresh := &http.Client{Transport: &http.Transport{}}, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			defer kept.CloseIdleConnections()
			ask := func(credential string) (a answer, sent time.Time, err error) {
				sent = time.Now()
				a, err = gw.ask(kept, "GET", "/orders/", credential)
				if err != nil { // a client may repeat an idempotent request on another connection (RFC 9110 section 9.2.2)
					sent = time.Now()
					a, err = gw.ask(fresh, "GET", "/orders/", credential)
				}
				return a, sent, err
			}
			for i := caller; !done(caller) && !l.failed.Load(); i += callers {
				if err := do(ask, i); err != nil {
					l.failed.Store(true)
					l.problem <- err
				}
			}
		}()
	}
	return l
}

// wait returns when the callers are done.
func (l *load) wait() {
	l.gw.t.Helper()
	l.all.Wait()
	close(l.problem)
	for err := range l.problem {
		l.gw.t.Error(err)
	}
}
