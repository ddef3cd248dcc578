// Command resource is a service for measurements: it has a guard, asks by introspection at each call, or checks nothing.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
)

func main() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "orders\n") })
	// Mintkeep may listen elsewhere than its issuer says.
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, os.Getenv("MINTKEEP_AT"))
		},
	}}
	protect := map[string]func(http.Handler) http.Handler{
		"nothing":       func(h http.Handler) http.Handler { return h },
		"introspection": func(h http.Handler) http.Handler { return introspecting(client, h) },
		"guard":         func(h http.Handler) http.Handler { return guarded(client)(h) },
	}[os.Getenv("CHECK")]
	// With the timeouts that a service has in use. A process without any timer pays less for each wait of the network.
	server := &http.Server{
		Addr: os.Getenv("ADDR"), Handler: protect(hello),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	log.Fatal(server.ListenAndServe())
}

func guarded(client *http.Client) func(http.Handler) http.Handler {
	g, err := guard.New(guard.Config{
		Issuer: os.Getenv("ISSUER"), ClientID: os.Getenv("CLIENT_ID"), ClientSecret: os.Getenv("CLIENT_SECRET"),
		Audiences: []string{os.Getenv("AUDIENCE")}, HTTPClient: client,
	})
	if err != nil {
		log.Fatal(err)
	}
	return g.Require("read")
}

// introspecting asks at each call, as RFC 7662 has it.
func introspecting(client *http.Client, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		body := strings.NewReader(url.Values{"token": {token}}.Encode())
		q, err := http.NewRequestWithContext(r.Context(), http.MethodPost, os.Getenv("ISSUER")+"/oauth/introspect", body)
		if err != nil {
			http.Error(w, "no request", http.StatusInternalServerError)
			return
		}
		q.SetBasicAuth(os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := client.Do(q)
		if err != nil {
			http.Error(w, "no answer", http.StatusServiceUnavailable)
			return
		}
		defer func() { _ = answer.Body.Close() }()
		var i struct {
			Active bool
			Scope  string
		}
		if err := json.NewDecoder(answer.Body).Decode(&i); err != nil || !i.Active || !strings.Contains(i.Scope, "read") {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
