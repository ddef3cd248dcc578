package servertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/tracing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// M is a JSON object.
type M = map[string]any

// Issuer of every server in tests. It is not where they listen: nothing may depend on that.
const Issuer = "https://auth.example.com"

// storeBudget is for a busy machine, on which a request may take longer than a caller would wait.
const storeBudget = 30 * time.Second

// masterKey is shared by the replicas of a test.
var masterKey = randomKey()

func randomKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

// Server is a running server.
type Server struct {
	URL        string
	AdminToken string
	Config     *config.Config
	Store      *store.Store
	Ring       *signing.Ring
	Metrics    *metrics.Metrics
	Server     *server.Server
	Clock      *storetest.Clock
	HTTP       *http.Client // checks each answer against the OpenAPI document
	Log        *Log

	// Private is the same server at its listener for operators; nil without MINTKEEP_ADMIN_ADDR.
	Private *Server

	backend *storetest.Backend
	mu      sync.Mutex
	secrets []string // that the test saw, and must be nowhere else
}

// New starts a server over b, with the settings in environ ("MINTKEEP_TOKEN_TTL=5s") beside those that it
// needs. It is closed at the end of the test.
func New(t testing.TB, b *storetest.Backend, environ ...string) *Server {
	t.Helper()
	s := &Server{AdminToken: rand.Text() + rand.Text(), Clock: b.Clock, Log: &Log{}, backend: b}
	logger := slog.New(slog.NewJSONHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := s.configure(t, environ)
	s.Config = cfg

	sources := metrics.Sources{Now: b.Clock.Now} // and nothing that asks Redis: tests count its commands
	if cfg.Feed {
		sources.Feed = func() feed.Status { return s.Store.Feed().Status() }
	}
	s.Metrics = metrics.New(sources)
	tracer, err := tracing.New(tracing.Options{Config: cfg.Tracing, Version: "test", Console: s.Log, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tracer.Close(context.Background()) })
	s.Store = b.Open(t, func(o *store.Options) {
		o.Logger, o.Observe, o.Durability = logger, s.Metrics.Redis, cfg.RevokeDurability
		o.Feed, o.CountVoid = cfg.Feed, s.Metrics.FeedVoid
		o.Trace = tracer.RoundTrips()
	})
	s.Ring, err = signing.New(signing.Options{
		Store: s.Store, MasterKeys: cfg.MasterKeys, Algorithm: cfg.SigningAlg, Rotation: cfg.SigningRotation,
		TokenTTLMax: cfg.TokenTTLMax, Now: b.Clock.Now, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Ring.Load(context.Background()) // a test may begin with a store that is down
	s.Server, err = server.New(server.Options{
		Config: cfg, Store: s.Store, Ring: s.Ring, Logger: logger, Metrics: s.Metrics, Now: b.Clock.Now, StoreBudget: storeBudget,
		PasswordCost: password.Cost{Memory: 64, Passes: 1, Lanes: 1}, CheckKeys: checkKeys(cfg),
		Tracer: tracer,
	})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(s.Server)
	t.Cleanup(hs.Close)
	s.URL = hs.URL
	s.HTTP = &http.Client{
		Transport:     Validating(t, hs.Client().Transport, server.OpenAPI),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if private := s.Server.Private(); private != nil {
		hs := httptest.NewServer(private)
		t.Cleanup(hs.Close)
		s.Private = &Server{
			URL: hs.URL, AdminToken: s.AdminToken, Config: cfg, Store: s.Store, Ring: s.Ring, Metrics: s.Metrics, Server: s.Server,
			Clock: s.Clock, HTTP: s.HTTP, Log: s.Log, backend: b,
		}
	}
	s.Secret(s.AdminToken)
	t.Cleanup(func() { s.check(t) })
	return s
}

// checkKeys fetches nothing, unless the settings are about fetching: most tests register URLs at which nothing is.
func checkKeys(cfg *config.Config) func(context.Context, string) error {
	if len(cfg.FetchAllow.Networks)+len(cfg.FetchAllow.Hosts) > 0 {
		return nil
	}
	return func(context.Context, string) error { return nil }
}

func (s *Server) configure(t testing.TB, environ []string) *config.Config {
	t.Helper()
	settings := append(slices.Clone(environ), // first: of two entries with one name, the first counts
		"MINTKEEP_ISSUER="+Issuer,
		"MINTKEEP_ADMIN_TOKEN="+s.AdminToken,
		"MINTKEEP_MASTER_KEY="+masterKey,
		"MINTKEEP_METRICS_ADDR=",
		"MINTKEEP_REDIS_URL="+s.backend.URL(),
	)
	cfg, _, err := config.Load(config.Source{Environ: settings})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Secret registers a string that must not be in the log or in Redis.
func (s *Server) Secret(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, secret)
}

// check is made after every test.
func (s *Server) check(t testing.TB) {
	t.Helper()
	response := httptest.NewRecorder()
	s.Server.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/healthz", http.NoBody))
	if response.Code != http.StatusOK {
		t.Errorf("after the test, /healthz answers %d", response.Code)
	}
	log := s.Log.String()
	if t.Failed() {
		for line := range strings.Lines(log) {
			if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
				t.Log("the server logged ", line)
			}
		}
	}
	if strings.Contains(log, "panic:") {
		t.Errorf("a handler panicked:\n%s", log)
	}
	if strings.Contains(log, `"status":500`) {
		t.Errorf("a request was answered 500:\n%s", log)
	}
	var dump storetest.Dump
	if s.backend.Server == nil || s.backend.Server.Client().Ping(context.Background()).Err() == nil {
		dump = s.backend.Dump(t)
	}
	for _, secret := range s.secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the log has a secret: …%s", secret[len(secret)-4:])
		}
		if keys := dump.Find(secret); len(keys) > 0 {
			t.Errorf("Redis has a secret (…%s) under %q", secret[len(secret)-4:], keys)
		}
	}
}

// Log is what the server logged, one JSON object a line.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
