// Package faults is the fault bench: servers in processes of their own, and a Redis that is killed, frozen, slowed
// down, filled up, failed over and cut off under them, while workers issue, check and revoke credentials.
//
//	go test ./cmd/mintkeep/faults                                              a few faults, in seconds
//	go test ./cmd/mintkeep/faults -faults=short -v                             one of every family
//	go test -race -timeout 35m ./cmd/mintkeep/faults -faults=long -v           all, longer
//	go test ./cmd/mintkeep/faults -faults=long -v -run 'TestFaults/disk-full'  some
//
// Each fault prints one line: its name, how many calls were made, how many were answered 503, how many violations the
// answers had, how slow the slowest was, and how long it took to recover.
//
// # How
//
//   - [github.com/mintkeep/mintkeep/store/storetest] runs the Redis servers: alone, with a replica and three
//     Sentinels, six as a cluster; and the links to them, which can be cut.
//   - [github.com/mintkeep/mintkeep/cmd/mintkeep/processtest] runs two servers. Before them stands a front, a load
//     balancer that asks /readyz and repeats nothing that may have been applied.
//   - The load: workers with a client and a user each. They record every call in a history.
//   - Guards keep what introspection said, and are told by the feed what to forget. Each answer from memory is a check, which
//     may say active at most one lease, 1 s, after a revocation was acknowledged.
//   - Writes of one server that reach Redis late: each kind is held, a revocation is acknowledged by the other server, and
//     then the write is delivered.
//   - [github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history] checks it. Last of all, every credential of the run is
//     checked once more, at every server.
//
// A fault passes when there is no violation, no 500 and no other unexpected answer, every call is answered within 2.5 s,
// both servers answer again within 5 s after it was lifted, and they hold no more goroutines and files than before.
package faults
