// Package load loads mintkeep as a process on a redis-server and measures what it costs. Each answer is checked, in
// the fastest runs as well: the speed of wrong answers is worth nothing.
//
// The tests are
//
//	go test ./cmd/mintkeep/load                                     checks that the generators work; seconds
//	go test ./cmd/mintkeep/load -v -load=scale -timeout 60m         10 to 100,000 clients, 1,000 to 1,000,000 tokens
//	go test ./cmd/mintkeep/load -v -load=delay                      a Redis that is 1 ms and 5 ms away
//	go test ./cmd/mintkeep/load -v -load=connections                2,000 connections at once
//	go test ./cmd/mintkeep/load -v -load=overload                   twice what the server can do
//	go test ./cmd/mintkeep/load -v -load=replicas                   two servers on one Redis
//	go test ./cmd/mintkeep/load -v -load=start                      from exec to the first token; idle memory
//	go test ./cmd/mintkeep/load -v -load=assertions                 a token by a signed assertion, beside one by a secret
//	go test ./cmd/mintkeep/load -v -load=tracing -before FILE       traces off and of 1 %, beside the binary of a former version
//	go test ./cmd/mintkeep/load -v -load=guards -for 120s           a thousand guards on two servers
//	go test ./cmd/mintkeep/load -v -load=checks -for 10s            a service with a guard, one that introspects, one that checks nothing
//	go test ./cmd/mintkeep/load -v -load=profile -profiles /tmp     profiles of the server
//	go test ./cmd/mintkeep/load -v -load=soak -soak 10m -timeout 20m   everything mixed, for long
//
// and -load=all. -for sets how long one measurement lasts. docs/performance.md has what they print.
//
// The clients are as lean as the tests can make them, because they share the processors with what they measure:
// closed keeps a number of connections busy; open sends at a rate, whatever the answers, and counts the time of
// each from when it was due. Processor time is that of the server and of redis-server, from /proc, and so nearly
// free of what else runs on the machine.
package load
