package remotekeys

import "net/netip"

// StoreTime is what a request keeps of its time.
const StoreTime = storeTime

// Sweep is what Run does every ten seconds.
func (f *Fetcher) Sweep() { f.sweep() }

// Public is whether an address may be reached that is not listed.
func (f *Fetcher) Public(addr netip.Addr) bool { return f.guard.public(addr) }

// Publish makes an address of this machine a public one.
func (f *Fetcher) Publish(public netip.Addr) {
	f.guard.public = func(addr netip.Addr) bool { return addr == public }
}

// WaitIdle waits for the fetches in the background.
func (f *Fetcher) WaitIdle() { f.running.Wait() }
