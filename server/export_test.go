package server

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// Timeouts are the patience of a server with the network.
type Timeouts = timeouts

// Patience is that of a real server.
var Patience = patience

// Hurry changes the patience of s, before Serve.
func (s *Server) Hurry(change func(*Timeouts)) { change(&s.timeouts) }

// Finish ends s as Serve does, while something runs in the background.
func (s *Server) Finish(run func()) {
	var running sync.WaitGroup
	running.Go(run)
	s.finish(&running)
}

// DrainUntil has the drain delay of s last until over is closed.
func (s *Server) DrainUntil(over <-chan struct{}) { s.sleep = func(time.Duration) { <-over } }

// KeepBudget gives the requests of s the store time of a real server, before the first of them. servertest has more.
func (s *Server) KeepBudget() { s.public.adapter.StoreBudget = 0 }

// RunGuards has s write what it hears of guards, as Serve does.
func (s *Server) RunGuards(ctx context.Context) { s.guards.Run(ctx) }

// Routes are those of the public listener.
func (s *Server) Routes() gin.RoutesInfo { return s.public.engine.Routes() }

// Hashers are what hashes passwords at each listener of s.
func (s *Server) Hashers() (hashers []uintptr) {
	for _, site := range s.sites {
		hashers = append(hashers, reflect.ValueOf(site.pages).Elem().FieldByName("passwords").Pointer())
	}
	return hashers
}
