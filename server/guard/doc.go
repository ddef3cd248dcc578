// Package guard protects the routes of a service with Mintkeep's access tokens and API keys. It asks Mintkeep once about
// each credential, keeps the answer, and is told within a second when to forget it. A check of a credential that it
// knows takes microseconds and no network.
//
//	g, err := guard.New(guard.Config{
//		Issuer:           "https://auth.example.com",
//		ClientID:         "orders", // with the scope mintkeep:introspect
//		ClientSecretFile: "/run/secrets/orders",
//		Audiences:        []string{"https://orders.example.com"},
//	})
//	…
//	mux.Handle("GET /orders", g.Require("read")(list))
//	mux.Handle("POST /refunds", g.Require("refund", guard.Strict)(refund))
//
// # What it promises
//
// Let Mintkeep have acknowledged a revocation. A guard answers from memory no later than [Config.MaxStale] after that. It
// needs no notice that the connection to Mintkeep is lost: each answer to a poll extends a lease, and without answers
// the lease runs out.
//
//	          first answer                  lease runs out
//	blind ───────────────────▶ current ◀──────────────────▶ stale
//	                              answers from memory          asks Mintkeep at each call
//
// What a stale guard does, [Config.WhenStale] says. A route with [Strict] is never answered from memory. If Mintkeep cannot
// be asked, the answer is 503, never 401 and never a yes.
//
// # What it needs
//
// A client of Mintkeep with the scope mintkeep:introspect, and a network on which Mintkeep answers. One goroutine polls the
// feed of revocations: two requests in a second at rest. [Guard.Close] ends it.
package guard
