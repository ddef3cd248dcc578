package guard_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// BenchmarkCheck is a check that is answered from memory.
func BenchmarkCheck(b *testing.B) {
	m := guardtest.NewServer(b)
	g := m.Guard(guard.Config{Audiences: []string{orders}})
	m.Settle(g)
	p := guard.Presented{Authorization: []string{"Bearer " + m.Token("billing", orders, "read")}}
	scope := guard.Scope("read")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Check(b.Context(), p, scope); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequire is the middleware with a handler that does nothing.
func BenchmarkRequire(b *testing.B) {
	m := guardtest.NewServer(b)
	g := m.Guard(guard.Config{Audiences: []string{orders}})
	m.Settle(g)
	h := g.Require("read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+m.Token("billing", orders, "read"))
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// BenchmarkVerify is what the check is compared with.
func BenchmarkVerify(b *testing.B) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	digest := sha256.Sum256([]byte("x"))
	signature, _ := ecdsa.SignASN1(rand.Reader, key, digest[:])
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			b.Fatal("no")
		}
	}
}
