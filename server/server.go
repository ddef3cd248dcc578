package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/admin"
	"github.com/mintkeep/mintkeep/server/api"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/dashboard"
	"github.com/mintkeep/mintkeep/server/fdreserve"
	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/remotekeys"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/signingkeys"
	"github.com/mintkeep/mintkeep/server/tracing"
	"github.com/mintkeep/mintkeep/server/users"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// maxHeader is the longest head of a request, in bytes; net/http adds 4 KiB and answers 431.
const maxHeader = 32 << 10

// timeouts are those of the network. Tests have shorter ones.
type timeouts struct {
	Header time.Duration // for the head of a request
	Read   time.Duration // for the whole request
	Write  time.Duration // for the answer, from the end of the head on
	Idle   time.Duration // for a connection between requests

	// Shutdown is for the requests in progress at shutdown, after the drain.
	Shutdown time.Duration

	// End is how long the background may take after that: it writes the last uses, and the replica leaves Redis. What is not done
	// then, because Redis does not answer, is dropped.
	End time.Duration

	// Certificate is how long the certificate's files are not checked again.
	Certificate time.Duration
}

var patience = timeouts{
	Header:      5 * time.Second,
	Read:        10 * time.Second,
	Write:       15 * time.Second,
	Idle:        2 * time.Minute,
	Shutdown:    7 * time.Second,
	End:         1500 * time.Millisecond,
	Certificate: time.Second,
}

// StopTime is how long [Server.Serve] takes at most after the drain delay. What comes before and after it must leave room: the
// process exits within 15 s.
func StopTime() time.Duration { return patience.Shutdown + patience.End }

// Options for New. Config, Store, Ring and Logger are required.
type Options struct {
	Config  *config.Config
	Store   *store.Store
	Ring    *signing.Ring
	Logger  *slog.Logger
	Metrics *metrics.Metrics // nil: nothing is counted
	Now     func() time.Time // nil: time.Now

	// Tracer makes a span of each request. Nil: tracing is off.
	Tracer *tracing.Tracer

	// AuditCopy gets each event of the audit log as a line of JSON. It must not block. Nil: there is no copy.
	AuditCopy io.Writer

	// Descriptors is the reserve that Store dials with. Serve closes it. Nil: one of the server's own.
	Descriptors *fdreserve.Reserve

	// DrainDelay is how long the server goes on serving, not ready any more, before it stops listening:
	// the time that a load balancer needs to notice. Zero where there is none.
	DrainDelay time.Duration

	// StoreBudget is the store time that one request may use in all. Zero: 1.5 s. Tests that are not about it have more,
	// since a busy machine may need more.
	StoreBudget time.Duration

	// PasswordCost is that of a new password hash. Zero: the recommended one. Tests have less.
	PasswordCost password.Cost

	// AuthMethods are the client authentication methods that are offered. nil: [oauth.AuthMethods].
	AuthMethods []oauth.AuthMethod

	// CheckKeys fetches the key set of a client that is registered with a URL. nil: [remotekeys.Fetcher.Check].
	CheckKeys func(ctx context.Context, uri string) error
}

// Server is a running Mintkeep. It is an http.Handler.
type Server struct {
	options       Options
	adminTokens   adminTokens
	certificate   *keyPair // nil without TLS
	public        *site
	private       *site   // nil: operators have no listener of their own
	sites         []*site // the one or both
	guards        *guards.Registry
	oauth         *oauth.Server
	admin         *admin.Admin
	api           *api.API
	adminResource *bearer.ProtectedResource
	remoteKeys    *remotekeys.Fetcher
	timeouts      timeouts
	sleep         func(time.Duration) // for the drain delay
	draining      atomic.Bool
	durable       atomic.Bool // the store could once give what revocations ask of it
}

// New wires a server. It starts nothing: see [Server.Serve].
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.AuthMethods == nil {
		o.AuthMethods = oauth.AuthMethods()
	}
	if o.Descriptors == nil {
		o.Descriptors = fdreserve.New()
	}
	s := &Server{options: o, timeouts: patience, sleep: time.Sleep}
	s.adminTokens.replace(o.Config)
	vault := o.Ring.Vault()
	log := &audit.Log{Store: o.Store, Now: o.Now, Copy: o.AuditCopy, Metrics: o.Metrics}
	verifier := &bearer.Verifier{Store: o.Store, Issuer: o.Config.Issuer, Now: o.Now}
	var err error
	s.remoteKeys, err = remotekeys.New(remotekeys.Options{Config: o.Config, Logger: o.Logger, Metrics: o.Metrics, Now: o.Now})
	if err != nil {
		return nil, err
	}
	if o.CheckKeys == nil {
		o.CheckKeys = s.remoteKeys.Check
	}
	clientRegistry := &clients.Registry{
		Store: o.Store, Config: o.Config, Audit: log, Now: o.Now, Offers: oauth.Offers(o.AuthMethods...),
		CheckURI: s.remoteKeys.CheckURI, CheckKeys: o.CheckKeys,
	}
	userRegistry := &users.Registry{Store: o.Store, Config: o.Config, Audit: log, Now: o.Now}
	keyRegistry := &keys.Registry{Store: o.Store, Config: o.Config, Audit: log, Now: o.Now}
	s.guards = guards.New(guards.Options{Store: o.Store, Audit: log, Now: o.Now, Logger: o.Logger})
	rotator := &signingkeys.Rotator{Ring: o.Ring, Audit: log, Now: o.Now}
	s.oauth, err = oauth.New(oauth.Options{
		Config: o.Config, Store: o.Store, Ring: o.Ring, Verifier: verifier, Audit: log, Keys: keyRegistry, Metrics: o.Metrics, Now: o.Now,
		AuthMethods: o.AuthMethods, RemoteKeys: s.remoteKeys, Guards: s.guards,
	})
	if err != nil {
		return nil, err
	}
	s.api, err = api.New(api.Options{Config: o.Config, Vault: vault, Verifier: verifier, Audit: log, Keys: keyRegistry, Now: o.Now})
	if err != nil {
		return nil, err
	}
	s.adminResource = adminResource(verifier, log)
	s.admin = admin.New(admin.Options{
		Config: o.Config, Store: o.Store, Ring: o.Ring, Vault: vault, Verifier: verifier, Audit: log,
		Clients: clientRegistry, Users: userRegistry, Keys: keyRegistry, Guards: s.guards, SigningKeys: rotator, Now: o.Now,
	})
	err = s.addSites(dashboard.Options{
		Config: o.Config, Store: o.Store, Ring: o.Ring, Vault: vault, Audit: log, Clients: clientRegistry, Users: userRegistry, Keys: keyRegistry, Guards: s.guards, Now: o.Now,
		SigningKeys: rotator, Passwords: password.New(password.Options{Vault: vault, From: web.AddressOf, Cost: o.PasswordCost}),
	})
	if err != nil {
		return nil, err
	}
	if o.Config.TLS() {
		s.certificate, err = loadKeyPair(o.Config.TLSCert, o.Config.TLSKey, o.Logger)
	}
	return s, err
}

// KeySets says what is known of the key sets that are fetched from clients, for the metrics.
func (s *Server) KeySets() metrics.KeySets { return s.remoteKeys.KeySets() }

// ServeHTTP is what the public listener serves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.public.ServeHTTP(w, r) }

// Private is what the listener for operators serves. It is nil without MINTKEEP_ADMIN_ADDR.
func (s *Server) Private() http.Handler {
	if s.private == nil {
		return nil
	}
	return s.private
}

// Serve answers on the listeners until ctx ends, and then drains: not ready at once, still serving for
// the drain delay while every answer closes its connection, then finishing what is under way. It
// returns nil after an orderly end. private is the listener for operators, and nil without MINTKEEP_ADMIN_ADDR.
func (s *Server) Serve(ctx context.Context, public, private net.Listener) error {
	listeners := []net.Listener{public, private}[:len(s.sites)]
	defer s.options.Descriptors.Close() // after the background, which may still dial
	// The background outlives ctx: while the server drains, keys are still reloaded, and the last uses
	// are written at the very end.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { s.options.Ring.Run(background) })
	running.Go(func() { s.options.Store.Run(background) })
	running.Go(func() { s.remoteKeys.Run(background) })
	running.Go(func() { s.guards.Run(background) })
	defer s.finish(&running)
	defer stop()

	failed := make(chan error, len(s.sites))
	servers := make([]*http.Server, len(s.sites))
	for i, t := range s.sites {
		servers[i] = s.httpServer(t)
		go func() { failed <- s.listen(servers[i], t, listeners[i]) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return s.drain(servers)
}

// finish waits for the background to end, but not longer than all of it may take together.
func (s *Server) finish(running *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		running.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(s.timeouts.End):
	}
}

func (s *Server) httpServer(t *site) *http.Server {
	return &http.Server{
		Handler:           t,
		ReadHeaderTimeout: s.timeouts.Header,
		ReadTimeout:       s.timeouts.Read,
		WriteTimeout:      s.timeouts.Write,
		IdleTimeout:       s.timeouts.Idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelDebug),
	}
}

// listen serves the connections of listener, and rejects those for which there is no room.
func (s *Server) listen(hs *http.Server, t *site, listener net.Listener) error {
	rejecter, serve := s.rejecter(t), (*http.Server).Serve
	if s.certificate != nil {
		hs.TLSConfig, rejecter.TLSConfig = s.certificate.config(s.timeouts.Certificate), s.certificate.config(s.timeouts.Certificate)
		serve = func(hs *http.Server, l net.Listener) error { return hs.ServeTLS(l, "", "") }
	}
	admitted, rejected := s.options.Descriptors.Split(listener, t.adapter.Trusted)
	hs.ConnState = admitted.ConnState
	go func() { _ = serve(rejecter, rejected) }()
	defer func() { _ = rejecter.Close() }()
	return serve(hs, admitted)
}

func (s *Server) drain(servers []*http.Server) error {
	s.options.Logger.Info("draining", "delay", s.options.DrainDelay.String())
	s.draining.Store(true)
	for _, t := range s.sites {
		t.adapter.Drain()
	}
	s.sleep(s.options.DrainDelay) // a second signal ends the process at once

	ctx, cancel := context.WithTimeout(context.Background(), s.timeouts.Shutdown)
	defer cancel()
	failed := make([]error, len(servers))
	var stopping sync.WaitGroup
	for i, hs := range servers {
		stopping.Go(func() { failed[i] = s.shutdown(ctx, hs) })
	}
	stopping.Wait()
	s.options.Logger.Info("stopped")
	return errors.Join(failed...)
}

func (s *Server) shutdown(ctx context.Context, hs *http.Server) error {
	err := hs.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		// A caller that sends slowly can cause this, so it is no failure of the server.
		s.options.Logger.Warn("shutdown timed out; the remaining requests were aborted", "after", s.timeouts.Shutdown.String())
		err = hs.Close()
	}
	return err
}
