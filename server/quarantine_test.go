package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// until polls.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// A replica over a Redis that came back empty gives no verdict and is not ready, until the operator has fenced.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	b := redis.Backend(t)
	s := servertest.New(t, b)
	go s.Store.Run(t.Context())
	c := s.Register(t, servertest.M{"client_id": "patient", "scope": "read mintkeep:admin", "audience": []string{servertest.Issuer}})
	token := s.Token(t, c, "scope=read+mintkeep:admin")
	until(t, "its watermark is written", func() bool { return b.Do("HLEN", "mk:epoch") == int64(4) })
	s.Get(t, "/readyz").Want(t, http.StatusOK, "")

	redis.Stop()
	redis.Start()
	storeRoutes(t, s, c, token)
	until(t, "readyz says what to do", func() bool {
		answer := s.Get(t, "/readyz").Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		return strings.Contains(answer.Body, "run mintkeep fence")
	})
	storeRoutes(t, s, c, token)
	if log := s.Log.String(); strings.Count(log, `"level":"ERROR"`) != 1 {
		t.Errorf("the log tells of it %d times, want once", strings.Count(log, `"level":"ERROR"`))
	}

	if _, err := b.Open(t).Fence(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready again", func() bool { return s.Get(t, "/readyz").Status == http.StatusOK })
	s.Post(t, "/oauth/introspect", "token="+token, c.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
}
