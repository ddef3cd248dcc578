package web

import "context"

// Origin is where the request that ctx belongs to came from, and its id.
func Origin(ctx context.Context) (address, requestID string) {
	x := from(ctx)
	if x.address.IsValid() {
		address = x.address.String()
	}
	return address, x.id
}

// Route is the pattern of the request's route. A path may hold a secret that the caller put there by mistake.
func Route(ctx context.Context) string { return from(ctx).route }
