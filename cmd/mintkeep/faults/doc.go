// Package faults is the fault bench: servers in processes of their own, and a Redis that is killed, frozen, slowed
// down, filled up, failed over and cut off under them, while workers issue, check and end credentials.
//
//	go test ./cmd/mintkeep/faults                                              a few faults, in seconds
//	go test ./cmd/mintkeep/faults -faults=short -v                             one of every family
//	go test -race -timeout 35m ./cmd/mintkeep/faults -faults=long -v           all, longer
//	go test ./cmd/mintkeep/faults -faults=long -v -run 'TestFaults/F-12'       some
//
// One line a fault tells what was done, how many calls were made, how many were answered 503, how many answers were
// lies, how slow the slowest was, and how long it took to recover.
//
// # How
//
//   - [github.com/mintkeep/mintkeep/store/storetest] runs the Redis servers: alone, with a replica and three
//     Sentinels, six as a cluster; and the lines to them, which can be cut.
//   - [github.com/mintkeep/mintkeep/cmd/mintkeep/processtest] runs two servers. Before them stands a front, a load
//     balancer that asks /readyz and repeats nothing that may have been carried out.
//   - The load: workers with a client and a person each. They write down every call in a history.
//   - [github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history] judges it. At the end every credential of the run is
//     checked once more, at every server.
//
// A fault passes when there is no lie, no 500 and no other answer that does not belong there, every call is answered
// within 2.5 s, both servers answer again within 5 s of its end, and they hold no more goroutines and files than
// before.
package faults
