package web

import "context"

// Origin is where the request that ctx belongs to came from, its id, the server's own id if that is the caller's, and the id
// of its trace, if it has one.
func Origin(ctx context.Context) (address, requestID, serverID, traceID string) {
	x := from(ctx)
	if x.address.IsValid() {
		address = x.address.String()
	}
	return address, x.id, x.serverID, x.span.TraceID()
}

// Route is the pattern of the request's route. A path may hold a secret that the caller put there.
func Route(ctx context.Context) string { return from(ctx).route }
