//go:build go1.25

package guard_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// Keys that cannot be had keep no caller waiting for long: tokens are asked about. They are fetched once a minute at most.
func TestKeysCannotBeFetched(t *testing.T) {
	for name, fault := range map[string]func(*http.Request) (*http.Response, error){
		"500": answering(http.StatusInternalServerError, ""),
		"slow": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"10 MiB":                      answering(http.StatusOK, `{"keys":[`+strings.Repeat(" ", 10<<20)+`]}`),
		"the keys of another service": answering(http.StatusOK, `{"keys":[]}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := guardtest.NewLocal(t)
				network := &faults{next: m.Transport(), by: map[string]func(*http.Request) (*http.Response, error){keySet: fault}, count: map[string]int{}}
				s := serviceOf(t, m, m.Guard(guard.Config{Audiences: []string{orders}, HTTPClient: &http.Client{Transport: network}}))
				m.Settle(s.g)
				began := time.Now()
				for range 180 {
					s.want("/read", m.Token("billing", orders, "read"), http.StatusOK)
					time.Sleep(time.Second)
				}
				if took := time.Since(began); took > 4*time.Minute {
					t.Errorf("180 calls, one in a second, took %v", took)
				}
				if n := network.requests(keySet); n > 5 {
					t.Errorf("the keys were fetched %d times in %v", n, time.Since(began))
				}
				known := m.Token("billing", orders, "read")
				s.want("/read", known, http.StatusOK)
				for range 20 { // more than are asked about without a check of the signature
					s.get("/read", m.Token("billing", orders, "read"))
				}
				s.want("/read", m.Token("billing", orders, "read"), http.StatusServiceUnavailable)
				s.want("/read", known, http.StatusOK)
			})
		})
	}
}

// No token is rejected because the signing key is another one. The guard fetches the new key when it hears of it.
func TestSigningKeyIsReplaced(t *testing.T) {
	for _, compromised := range []bool{false, true} {
		t.Run(map[bool]string{false: "rotated", true: "compromised"}[compromised], func(t *testing.T) {
			bubble(t, func(t *testing.T, s *service, network *faults) {
				old, unseen := s.m.Token("billing", orders, "read"), s.m.Token("billing", orders, "read")
				s.want("/read", old, http.StatusOK)
				s.m.RotateSigningKey(compromised)
				for range 20 {
					s.want("/read", old, http.StatusOK)
					s.want("/read", s.m.Token("billing", orders, "read"), http.StatusOK)
					time.Sleep(100 * time.Millisecond)
				}
				s.want("/read", unseen, http.StatusOK)
				if n := network.requests(keySet); n > 3 {
					t.Errorf("the keys were fetched %d times", n)
				}
				before := s.m.AskedInAll()
				good := s.m.Token("billing", orders, "read")
				s.want("/read", good[:len(good)-4]+"AAAA", http.StatusUnauthorized)
				if s.m.AskedInAll() != before {
					t.Error("the new key is not known: a wrong signature was asked about")
				}
			})
		})
	}
}
