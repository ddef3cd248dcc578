package guard

// Waiting is how many callers wait for a question, for tests.
func (g *Guard) Waiting() int {
	g.flights.mu.Lock()
	defer g.flights.mu.Unlock()
	return g.flights.callers
}
