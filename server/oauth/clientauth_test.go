package oauth

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// BenchmarkAuthenticate is a client's authentication without the reading of the client: the header, the digest of the
// secret, its comparison, and the note of its use.
func BenchmarkAuthenticate(b *testing.B) {
	secret := credential.NewSecret("mk")
	s := &Server{store: storetest.Embedded(b).Open(b), now: time.Now, methods: AuthMethods()}
	c := &store.Client{ID: "billing-service", Enabled: true, Secrets: []store.Secret{{ID: "sec_a", Digest: store.DigestOf(secret)}}}
	r := httptest.NewRequest(http.MethodPost, TokenPath, http.NoBody)
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.ID+":"+secret)))
	form := url.Values{}
	b.ReportAllocs()
	for b.Loop() {
		p, err := s.present(r, form)
		if err != nil {
			b.Fatal(err)
		}
		if v, err := s.verify(b.Context(), p, c); err != nil || v.Rejected != "" {
			b.Fatal(v.Rejected, err)
		}
	}
}
