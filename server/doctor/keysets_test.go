package doctor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/doctor"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Doctor fetches what the server would fetch for the clients, as the server would.
func TestKeySets(t *testing.T) {
	const set = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"oct","k":"AAAA"}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/late":
			w.Header().Set("Date", time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat))
		case "/cached":
			w.Header().Set("Age", "120")
			w.Header().Set("Date", time.Now().Add(-2*time.Minute).UTC().Format(http.TimeFormat))
		case "/down":
			w.WriteHeader(http.StatusInternalServerError)
		}
		io.WriteString(w, set)
	}))
	defer server.Close()
	srv := storetest.Redis(t, "--appendonly", "yes")
	p := patient{url: srv.URL(), environ: []string{"MINTKEEP_FETCH_ALLOW=127.0.0.1"}}
	s := p.options(t).Store
	for id, uri := range map[string]string{
		"good": server.URL + "/good?secret=canary", "cached": server.URL + "/cached", "late": server.URL + "/late", "down": server.URL + "/down",
		"private": "https://127.0.0.2:8443/",
	} {
		c := &store.Client{ID: id, Enabled: true, Metadata: store.ClientMetadata{JWKSURI: uri}}
		if err := s.CreateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}

	found := map[string]doctor.Check{}
	for _, c := range p.wrong(t, "warn key set", "warn key set", "warn key set") {
		_, client, _ := strings.Cut(c.Found, "of client ")
		client, _, _ = strings.Cut(client, " ")
		if c.Name == "key set" {
			found[strings.TrimSuffix(client, ":")] = c
		}
		if strings.Contains(c.Found, "canary") {
			t.Errorf("doctor prints the query: %s", c.Found)
		}
	}
	for client, want := range map[string]string{
		"good":    server.URL + "/good of client good: keys that can be used: 1; kept for 1h0m0s",
		"cached":  "keys that can be used: 1; kept for 1h0m0s; a cache had them for 2m0s",
		"late":    " behind this machine",
		"down":    "cannot be fetched: the answer has status 500, not 200",
		"private": "cannot be fetched: the URL must have a host name: an address needs MINTKEEP_FETCH_ALLOW",
	} {
		if got := found[client].Found; !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", client, got, want)
		}
	}
}
