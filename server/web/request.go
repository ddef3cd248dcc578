package web

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/tracing"
)

// request is what the adapter knows of one request. It is the request's context at the same time, which
// saves a context value for each of its parts.
type request struct {
	context.Context
	adapter       *Adapter
	caller        context.Context // ends when the caller goes away
	id            string
	serverID      string // its own, if id is the caller's; else empty
	address       netip.Addr
	span          tracing.Request
	reason        string // why a credential was rejected; empty: none was
	route         string // its pattern
	params        gin.Params
	body          []byte
	notes         []slog.Attr
	kept          map[any]any // see Keep
	sampleSuccess bool        // the log may leave it out
	neverSample   bool        // the log has it in a flood too
	warns         bool        // its line is a warning, though the request may succeed
	routine       bool        // the log has its success at debug alone
	start         time.Time
	budget        time.Duration // of store time
	cancel        context.CancelFunc
}

// startBudget starts the store time of the request.
func (x *request) startBudget() {
	x.Context, x.cancel = context.WithTimeout(context.WithoutCancel(x.Context), x.budget)
}

// RenewBudget starts the store time of the request that ctx belongs to again: it has waited for a server other than the
// store, whose time has a limit of its own. Outside of a request it does nothing.
func RenewBudget(ctx context.Context) {
	if x, ok := ctx.Value(requestKey{}).(*request); ok {
		x.cancel()
		x.startBudget()
	}
}

// cleanUpTime is the store time of a clean-up.
const cleanUpTime = time.Second

// CleanUp is the context for what must be undone or settled in the store at the end of a request, which may have used up
// its own store time by then.
func CleanUp(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
}

type requestKey struct{}

func (x *request) Value(key any) any {
	if key == (requestKey{}) {
		return x
	}
	if value, kept := x.kept[key]; kept {
		return value
	}
	return x.Context.Value(key)
}

// Keep keeps a value in ctx, the context of a request, for what answers the request when its handler has returned an error:
// a [Fail]. The type of the key is the caller's own.
func Keep(ctx context.Context, key, value any) {
	x := from(ctx)
	if x.kept == nil {
		x.kept = map[any]any{}
	}
	x.kept[key] = value
}

func from(ctx context.Context) *request { return ctx.Value(requestKey{}).(*request) }

// RequestID is the id of the request that ctx belongs to.
func RequestID(ctx context.Context) string { return from(ctx).id }

// Address is where the request comes from: the peer, or the address that a trusted proxy names.
func Address(r *http.Request) netip.Addr { return AddressOf(r.Context()) }

// AddressOf is Address of the request that ctx belongs to.
func AddressOf(ctx context.Context) netip.Addr { return from(ctx).address }

// Path is the value of a path parameter.
func Path(r *http.Request, name string) string { return from(r.Context()).params.ByName(name) }

// Note adds to the request's line in the log. Never a secret. Outside of a request it does nothing.
func Note(ctx context.Context, key, value string) {
	if x, ok := ctx.Value(requestKey{}).(*request); ok {
		x.notes = append(x.notes, slog.String(key, value))
	}
}

// Warn is Note of what has failed although the request may succeed. The line is a warning, or an error.
func Warn(ctx context.Context, key, value string) {
	Note(ctx, key, value)
	if x, ok := ctx.Value(requestKey{}).(*request); ok {
		x.warns = true
	}
}

// credentialShape matches keys, secrets and tokens of ours. One that is sent as a request id must not get into the log.
var credentialShape = regexp.MustCompile(`^[a-z][a-z0-9]{1,8}_[0-9A-Za-z]{46}$`)

// requestIDs are the caller's X-Request-Id with one of the server's own, by which callers who send the same are told
// apart; or the server's own alone, if the caller's is not [A-Za-z0-9._-]{1,64}.
func requestIDs(r *http.Request) (id, serverID string) {
	own := rand.Text()
	if given := r.Header.Get("X-Request-Id"); acceptable(given) {
		return given, own
	}
	return own, ""
}

func acceptable(id string) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return !credentialShape.MatchString(id)
}

// clientAddress is the peer's address, or, when the peer is a trusted proxy, the last address in
// X-Forwarded-For that is not one: what stands left of it was not seen by a trusted proxy. All lines of the header
// count as one list (RFC 9110 §5.3), because a proxy may add a line rather than extend the caller's.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	address := peerAddress(r)
	if !contains(trusted, address) {
		return address
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break // from here on nothing can be believed
		}
		address = hop
		if !contains(trusted, address) {
			break
		}
	}
	return address
}

// peerAddress is the address at the other end of the connection; the zero one if there is none.
func peerAddress(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// parseHop reads an address as proxies write it: with a port, or in brackets, or plain.
func parseHop(s string) (netip.Addr, bool) {
	hop, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(s)
		hop = withPort.Addr()
	}
	return hop.Unmap().WithZone(""), err == nil
}

// Trusted is whether the address is that of a trusted proxy.
func (a *Adapter) Trusted(address netip.Addr) bool { return contains(a.TrustedProxies, address) }

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
