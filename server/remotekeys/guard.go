package remotekeys

import (
	"fmt"
	"net/netip"

	"code.dny.dev/ssrf"

	"github.com/mintkeep/mintkeep/config"
)

// A rule is what a fetch broke, in words for an operator. They have nothing that the other side has sent.
type rule string

func (r rule) Error() string { return string(r) }

// A guard knows which addresses may be dialled.
type guard struct {
	allow  config.FetchAllow
	public func(netip.Addr) bool // whether an address belongs to the Internet
}

// metadata has the addresses of cloud metadata services that are in no special-purpose registry: Azure's. The others are
// link-local, unique local or shared addresses.
var metadata = netip.MustParsePrefix("168.63.129.16/32")

// nat64 is where a translator maps all of IPv4 (RFC 6052 §2.1): its addresses are as public as those in their last 32 bits.
var nat64 = ssrf.IPv6NAT64Prefix

func newGuard(allow config.FetchAllow) guard {
	table := ssrf.New(ssrf.WithDeniedV4Prefixes(metadata))
	return guard{allow: allow, public: func(addr netip.Addr) bool {
		addr = addr.Unmap()
		if nat64.Contains(addr) {
			bytes := addr.As16()
			addr = netip.AddrFrom4([4]byte(bytes[12:]))
		}
		return table.SafeAddr(addr) == nil
	}}
}

// listed is whether MINTKEEP_FETCH_ALLOW has the host, or the address that its name stands for.
func (g *guard) listed(host string, addr netip.Addr) bool {
	return g.allow.Host(host) || g.allow.Addr(addr)
}

// check says whether addr may be dialled for a URL with that host. plain is whether the URL is http.
func (g *guard) check(host string, addr netip.Addr, plain bool) error {
	listed := g.listed(host, addr)
	switch {
	case plain && (!listed || !addr.Unmap().IsLoopback()):
		return rule("http is only for a loopback address that MINTKEEP_FETCH_ALLOW lists")
	case listed, g.public(addr):
		return nil
	}
	return rule(fmt.Sprintf("the address %s is not public, and MINTKEEP_FETCH_ALLOW does not list it", addr))
}
