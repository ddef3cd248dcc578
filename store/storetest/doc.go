// Package storetest gives tests the real [store.Store], on each of the backends that Mintkeep runs on.
//
//	func TestX(t *testing.T) {
//		storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
//			one, two := b.Open(t), b.Open(t) // two replicas
//			…
//			b.Clock.Advance(time.Hour) // records age with it
//			if leaks := b.Dump(t).Find(secret); leaks != nil { … }
//		})
//	}
//
// [Each] runs its subtests on the embedded store, on a redis-server and on a cluster of one node. The two
// servers are started once for the test binary and emptied for each subtest. The test becomes parallel; [EachAlone]
// is for one that cannot be. A test that stops, kills, freezes or reconfigures its Redis starts its own, with [Redis]
// or [Cluster].
//
// There are larger things to break: a [Replica], [Sentinels] over a primary and a replica, a cluster of [SixNodes],
// and a [Proxy], which is a line to a server that can be cut, blocked and slowed down. A [LateProxy] delivers one command, or
// one answer, late: after its sender has given up. [FreeAddr] is for servers that are not Redis.
//
// Every Store opened here is watched: a command, or a MULTI block, whose keys lie in two hash slots fails
// the test, as do commands that walk through all keys. A cluster of one node refuses only the former, and
// the embedded store neither.
//
// Without redis-server on the machine, what needs it is skipped; if MINTKEEP_TEST_REQUIRE contains "redis",
// it fails instead. The servers, and their files, do not outlive the test binary, however it ends.
package storetest
