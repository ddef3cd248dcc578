package e2e

// What docs/guard.md shows for gRPC.

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mintkeep/mintkeep/server/guard"
)

// unary lets calls through whose credential has all of these scopes.
func unary(g *guard.Guard, scopes ...string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		who, err := authenticate(ctx, g, scopes)
		if err != nil {
			return nil, err
		}
		return next(guard.With(ctx, who), req)
	}
}

// stream is unary for streams. It ends a stream when the credential ends, also if the handler waits for a message. An
// interceptor that recovers from panics belongs behind it.
func stream(g *guard.Guard, scopes ...string) grpc.StreamServerInterceptor {
	return func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		who, err := authenticate(s.Context(), g, scopes)
		if err != nil {
			return err
		}
		ctx, stop := g.Watch(guard.With(s.Context(), who), who)
		defer stop()
		done := make(chan error, 1)
		go func() { done <- next(srv, watched{s, ctx}) }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		}
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, guard.ErrRevoked), errors.Is(cause, guard.ErrExpired):
			return status.Error(codes.Unauthenticated, cause.Error())
		case errors.Is(cause, guard.ErrStale):
			return status.Error(codes.Unavailable, cause.Error())
		}
		return <-done // the caller has gone away
	}
}

// watched is a stream whose context ends with the credential.
type watched struct {
	grpc.ServerStream
	ctx context.Context
}

func (w watched) Context() context.Context { return w.ctx }

func authenticate(ctx context.Context, g *guard.Guard, scopes []string) (*guard.Credential, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	who, err := g.Check(ctx, guard.Presented{Authorization: md.Get("authorization")}, guard.Scope(scopes...))
	var refusal *guard.Refusal
	if !errors.As(err, &refusal) {
		return who, nil
	}
	code := codes.Unavailable // what is not known is not allowed
	switch refusal.Status {
	case http.StatusBadRequest, http.StatusUnauthorized:
		code = codes.Unauthenticated
	case http.StatusForbidden:
		code = codes.PermissionDenied
	}
	return nil, status.Error(code, refusal.Description) // and not the reason, which is for the log
}
