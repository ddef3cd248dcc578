package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

const (
	orders = "https://orders.example.com"
	other  = "https://other.example.com"
)

// backend is a Mintkeep: the real one, or the small one of guardtest.
type backend interface {
	Token(client, audience string, scopes ...string) string
	Key(user string, scopes ...string) string
	KeyAudience() string
	Revoke(client, credential string)
	DisableClient(client string)
	DisableUser(user string, disabled bool)
	Guard(c guard.Config) *guard.Guard
}

type small struct{ *guardtest.Server }

func (s small) Key(user string, scopes ...string) string {
	return s.Server.Key(user, orders, scopes...)
}
func (s small) KeyAudience() string         { return orders }
func (s small) Revoke(_, credential string) { s.Server.Revoke(credential) }

func each(t *testing.T, f func(t *testing.T, b backend)) {
	t.Run("guardtest", func(t *testing.T) { f(t, small{guardtest.NewServer(t)}) })
	t.Run("mintkeep", func(t *testing.T) { f(t, newReal(t)) })
}

// settle waits until the guard knows of everything that was done until now.
func settle(t *testing.T, g *guard.Guard) {
	t.Helper()
	began := time.Now()
	for {
		if at, current := g.KnownAt(); current && at.After(began) {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the guard is not current: %+v", g.Stats())
		}
		time.Sleep(time.Millisecond)
	}
}

// status is that of a check: 200 or the refusal's.
func status(t *testing.T, g *guard.Guard, credential string, o ...guard.Option) int {
	t.Helper()
	c, err := g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + credential}}, o...)
	var refusal *guard.Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Status
	case err != nil || c == nil:
		t.Fatal(c, err)
	}
	return 200
}

func TestGuard(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := b.Guard(guard.Config{Audiences: []string{orders, b.KeyAudience()}})
		settle(t, g)
		want := func(what, credential string, status_ int, o ...guard.Option) {
			t.Helper()
			if got := status(t, g, credential, o...); got != status_ {
				t.Errorf("%s: %d, want %d", what, got, status_)
			}
		}
		token, disabled, key, users := b.Token("billing", orders, "read"), b.Token("reports", orders, "read"), b.Key("ada", "read"), b.Key("bob", "read")
		read, refund := guard.Scope("read"), guard.Scope("refund")
		for range 3 {
			for what, c := range map[string]string{"token": token, "token of another client": disabled, "key": key, "key of another user": users} {
				want(what, c, 200, read)
				want(what+" without the scope", c, 403, refund)
			}
		}
		if s := g.Stats(); s.Asks != 4 {
			t.Errorf("asked %d times about four credentials", s.Asks)
		}
		want("another audience", b.Token("billing", other, "read"), 401)
		want("never issued", guardtest.Checksummed("mkt_"), 401)
		want("a wrong checksum", "mk_0123456789012345678901234567890123456789abcdef", 401)
		want("strict", token, 200, read, guard.Strict)

		b.Revoke("billing", token)
		b.Revoke("", key)
		b.DisableClient("reports")
		b.DisableUser("bob", true)
		settle(t, g)
		for what, c := range map[string]string{"revoked token": token, "revoked key": key, "client disabled": disabled, "user disabled": users} {
			want(what, c, 401, read)
		}
		b.DisableUser("bob", false)
		settle(t, g)
		want("user enabled again", users, 200, read)
	})
}

// A stream ends soon after the revocation of its credential.
func TestWatch(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := b.Guard(guard.Config{Audiences: []string{orders}})
		settle(t, g)
		token := b.Token("billing", orders, "read")
		c, err := g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + token}})
		if err != nil {
			t.Fatal(err)
		}
		watched, stop := g.Watch(t.Context(), c)
		defer stop()
		b.Revoke("billing", token)
		select {
		case <-watched.Done():
			if cause := context.Cause(watched); !errors.Is(cause, guard.ErrRevoked) {
				t.Error(cause)
			}
		case <-time.After(time.Minute):
			t.Error("the stream goes on")
		}
	})
}
