package dashboard_test

import (
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestClientWithoutSecret: the page of a client is there when it has no secret, and says whether it needs one.
func TestClientWithoutSecret(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	for method, want := range map[string]string{
		"":                    "No secret is active: the client cannot authenticate.",
		"client_secret_basic": "No secret is active: the client cannot authenticate.",
		"another":             "The client authenticates without a secret.",
	} {
		c := &store.Client{ID: "client-" + method, Metadata: store.ClientMetadata{AuthMethod: method, CreatedAt: s.Clock.Now()}}
		if err := s.Store.CreateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		v.get("/operator/clients/" + c.ID).says(want)
	}
}
