// Package fdreserve keeps file descriptors back for the time when the process gets no others.
//
// Without a reserve, a process that has used up its descriptors could not even reject a caller, because it cannot accept
// the connection; and it could not dial a Redis that was restarted, because callers hold the descriptors that its
// connections had.
//
// A [Reserve] has two users. [Reserve.Split] divides a listener in two: one for the connections that the server serves,
// one for those that it answers with 503. The first closes idle connections, of any listener of the process, before it rejects a new one, and makes sure
// that one address does not use most of the descriptors. [Reserve.Dialer] wraps the dial function of the store. cmd/mintkeep creates the
// reserve and gives it to both.
package fdreserve
