package oauth

import (
	"sync/atomic"
	"time"

	"github.com/go-oauth2/oauth2/v4/manage"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/remotekeys"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
)

// Options for New. All but Metrics, Now and Guards are required.
type Options struct {
	Config   *config.Config
	Store    *store.Store
	Ring     *signing.Ring
	Verifier *bearer.Verifier
	Audit    *audit.Log
	Keys     *keys.Registry
	Metrics  *metrics.Metrics // nil: nothing is counted
	Now      func() time.Time // nil: time.Now

	// AuthMethods are the client authentication methods that are offered.
	AuthMethods []AuthMethod

	// RemoteKeys fetches the keys of clients that publish them at a URL.
	RemoteKeys *remotekeys.Fetcher

	// Guards is told of each poll of the feed. nil: they are not listed.
	Guards *guards.Registry
}

// Server answers the /oauth and /.well-known routes.
type Server struct {
	config   *config.Config
	store    *store.Store
	ring     *signing.Ring
	verifier *bearer.Verifier
	audit    *audit.Log
	keys     *keys.Registry
	metrics  *metrics.Metrics
	now      func() time.Time
	manager  *manage.Manager
	methods  []AuthMethod
	metadata []byte // the document, which does not change while the server runs

	remote     *remotekeys.Fetcher
	registered registeredKeys

	guards     *guards.Registry
	feed       *feed.Feed // nil: none
	polling    atomic.Int64
	remembered *remembered
	keySet     atomic.Pointer[keySetName]

	subscribers *bearer.ProtectedResource // takes their access tokens
}

// New creates the OAuth server.
func New(o Options) (*Server, error) {
	s := &Server{
		config: o.Config, store: o.Store, ring: o.Ring, verifier: o.Verifier, audit: o.Audit, keys: o.Keys,
		metrics: o.Metrics, now: o.Now, methods: o.AuthMethods, remote: o.RemoteKeys,
		guards: o.Guards, feed: o.Store.Feed(),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.feed != nil {
		s.remembered = newRemembered(s.feed, s.now)
		s.feed.OnTrouble(s.metrics.FeedBroken)
	}
	s.subscribers = subscriberResource(o.Verifier, o.Audit)
	s.manager = manage.NewManager()
	s.manager.MapClientStorage(clientStore{})
	s.manager.MapAccessGenerate(generator{ring: o.Ring, brand: o.Config.KeyPrefix})
	s.manager.MapTokenStorage(tokenStore{store: o.Store})
	var err error
	s.metadata, err = metadata(o.Config, Offers(s.methods...))
	return s, err
}
