// Package servertest runs a real server for tests: configured as an operator would, over one of the
// backends of storetest, on a loopback port, with every answer checked against the OpenAPI document.
//
//	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
//		s := servertest.New(t, b)
//		c := s.Register(t, servertest.M{"scope": "read write"})
//		token := s.Token(t, c)
//		…
//	})
//
// A second New over the same backend is a second replica. When a test is over, each server is checked: it
// answers, and no secret that the test saw is in its log or in Redis.
package servertest
