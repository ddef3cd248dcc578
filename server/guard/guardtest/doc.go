// Package guardtest is a small Mintkeep for tests of services that use a guard. It runs in the test's own process, and has
// the routes that guards use, and functions where Mintkeep has operators.
//
//	m := guardtest.NewServer(t)
//	g := m.Guard(guard.Config{Audiences: []string{"https://orders.example.com"}})
//	token := m.Token("billing", "https://orders.example.com", "read")
//	…
//	m.Revoke(token)
//	m.Settle(g) // waits until the guard knows of it: no sleeps
//
// [NewLocal] is for tests in a bubble of testing/synctest, where time passes at once: it has no network.
package guardtest
