package server

import "time"

// Timeouts are the patience of a server with the network.
type Timeouts = timeouts

// Patience is that of a real server.
var Patience = patience

// Hurry changes the patience of s, before Serve.
func (s *Server) Hurry(change func(*Timeouts)) { change(&s.timeouts) }

// DrainFor sets the drain delay of s, before Serve.
func (s *Server) DrainFor(d time.Duration) { s.options.DrainDelay = d }
