// Package processtest runs mintkeep in processes of its own, for tests that kill it, load it or examine it from
// outside.
//
//	func TestMain(m *testing.M) { processtest.Main(m) }
//
//	func TestX(t *testing.T) {
//		redis := storetest.Redis(t)
//		a, b := processtest.Start(t, processtest.OnRedis(redis.URL())...), processtest.Start(t, …)
//		client := a.Register(t, `{"scope":"read"}`)
//		token := a.Token(t, client)
//		…
//		a.Kill()
//		b.Introspect(client, token).Active()
//	}
//
// The program is built once for the test binary, with the race detector if that has it. The tests of the program
// itself run their own binary instead: see [UseCommand].
package processtest
