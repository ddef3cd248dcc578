package guard

import (
	"encoding/json"
	"net/http"
)

// Metadata serves the metadata of this service (RFC 9728 §2), for a client that has only the challenge: who issues the
// credentials, and how they are sent. It is served at the path of Config.ResourceMetadata, without authentication.
func (g *Guard) Metadata() http.Handler {
	resource := g.config.PublicURL
	if resource == "" {
		resource = g.config.Audiences[0]
	}
	document, err := json.Marshal(struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
		Methods              []string `json:"bearer_methods_supported"`
	}{resource, []string{g.config.Issuer}, []string{"header"}})
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			http.Error(w, "no metadata", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(document)
	})
}
