package e2e

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// rpc is a gRPC service behind the interceptors of the recipe.
func rpc(t *testing.T, g *guard.Guard) healthpb.HealthClient {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.UnaryInterceptor(unary(g, "read")), grpc.StreamInterceptor(stream(g, "read")))
	healthpb.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	conn, err := grpc.NewClient("passthrough:///rpc", grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return healthpb.NewHealthClient(conn)
}

func presenting(ctx context.Context, values ...string) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.MD{"authorization": values})
}

// A call by gRPC is answered, or rejected with the code that a caller's library acts on.
func TestRPC(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		n := &network{}
		g := b.Guard(guard.Config{Audiences: []string{orders}, MaxStale: 300 * time.Millisecond, HTTPClient: &http.Client{Transport: n}})
		settle(t, g)
		client := rpc(t, g)
		good, unseen := "Bearer "+b.Token("billing", orders, "read"), "Bearer "+b.Token("billing", orders, "read")
		call := func(what string, want codes.Code, authorization ...string) {
			t.Helper()
			ctx := presenting(t.Context(), authorization...)
			_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
			if got := status.Code(err); got != want {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
			if s, err := client.Watch(ctx, &healthpb.HealthCheckRequest{}); err == nil {
				_, err = s.Recv()
				if got := status.Code(err); got != want {
					t.Errorf("%s, as a stream: %v, want %v", what, err, want)
				}
				if err != nil && strings.Contains(err.Error(), "revoked_or_unknown") {
					t.Errorf("%s: the caller is told the reason: %v", what, err)
				}
			}
		}
		call("a good token", codes.OK, good)
		call("nothing", codes.Unauthenticated)
		call("junk", codes.Unauthenticated, "Bearer junk")
		call("two credentials", codes.Unauthenticated, good, good)
		call("never issued", codes.Unauthenticated, "Bearer "+guardtest.Checksummed("mkt_"))
		call("without the scope", codes.PermissionDenied, "Bearer "+b.Token("billing", orders, "write"))
		n.set(func() { n.fault = func(string) int { return 503 } })
		eventually(t, "stale", func() bool { return g.Stats().State == guard.Stale })
		call("while Mintkeep is away", codes.Unavailable, unseen)
	})
}

// ends waits for the end of a stream.
func ends(t *testing.T, done <-chan error, want func(error) bool) {
	t.Helper()
	select {
	case err := <-done:
		if !want(err) {
			t.Errorf("the stream ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the stream goes on")
	}
}

func TestStreamsByRPC(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		n := &network{}
		c := guard.Config{Audiences: []string{orders}, MaxStale: 300 * time.Millisecond, HTTPClient: &http.Client{Transport: n}, WhenStale: guard.Closed}
		g := b.Guard(c)
		settle(t, g)
		client := rpc(t, g)
		open := func(token string) <-chan error {
			t.Helper()
			settle(t, g)
			s, err := client.Watch(presenting(t.Context(), "Bearer "+token), &healthpb.HealthCheckRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				_, err := s.Recv()
				done <- err
			}()
			return done
		}
		code := func(want codes.Code) func(error) bool {
			return func(err error) bool { return status.Code(err) == want }
		}
		revoked := b.Token("billing", orders, "read")
		done := open(revoked)
		b.Revoke("billing", revoked)
		ends(t, done, code(codes.Unauthenticated))
		kept := open(b.Token("billing", orders, "read"))
		n.set(func() { n.fault = func(string) int { return 503 } })
		ends(t, kept, code(codes.Unavailable))
	})
}

// A WebSocket ends with its credential, for the reason for which that ends.
func TestWebSockets(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		n := &network{}
		g := b.Guard(guard.Config{Audiences: []string{orders}, MaxStale: 300 * time.Millisecond, WhenStale: guard.Closed, HTTPClient: &http.Client{Transport: n}})
		settle(t, g)
		causes := make(chan error, 4)
		service := httptest.NewServer(g.Require("read")(websocket.Handler(func(c *websocket.Conn) {
			who, _ := guard.From(c.Request().Context())
			ctx, stop := g.Watch(c.Request().Context(), who)
			defer stop()
			_, _ = c.Write([]byte("open"))
			<-ctx.Done()
			causes <- context.Cause(ctx)
		})))
		defer service.Close()
		open := func(token string) *websocket.Conn {
			t.Helper()
			settle(t, g)
			c, err := websocket.NewConfig("ws"+strings.TrimPrefix(service.URL, "http"), service.URL)
			if err != nil {
				t.Fatal(err)
			}
			c.Header.Set("Authorization", "Bearer "+token)
			conn, err := c.DialContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			if _, err := conn.Read(make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			return conn
		}
		is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
		revoked := b.Token("billing", orders, "read")
		conn := open(revoked)
		b.Revoke("billing", revoked)
		ends(t, causes, is(guard.ErrRevoked))
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the socket is open still")
		}
		open(b.Token("billing", orders, "read"))
		n.set(func() { n.fault = func(string) int { return 503 } })
		ends(t, causes, is(guard.ErrStale))
	})
}
