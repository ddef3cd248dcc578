package server

import (
	"context"
	"reflect"
	"time"
)

// Timeouts are the patience of a server with the network.
type Timeouts = timeouts

// Patience is that of a real server.
var Patience = patience

// Hurry changes the patience of s, before Serve.
func (s *Server) Hurry(change func(*Timeouts)) { change(&s.timeouts) }

// DrainUntil has the drain delay of s last until over is closed.
func (s *Server) DrainUntil(over <-chan struct{}) { s.sleep = func(time.Duration) { <-over } }

// KeepBudget gives the requests of s the store time of a real server, before the first of them. servertest has more.
func (s *Server) KeepBudget() { s.public.adapter.StoreBudget = 0 }

// RunGuards has s write what it hears of guards, as Serve does.
func (s *Server) RunGuards(ctx context.Context) { s.guards.Run(ctx) }

// Hashers are what hashes passwords at each listener of s.
func (s *Server) Hashers() (hashers []uintptr) {
	for _, site := range s.sites {
		hashers = append(hashers, reflect.ValueOf(site.pages).Elem().FieldByName("passwords").Pointer())
	}
	return hashers
}
