package server_test

import (
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestTokenBudget(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		caller := e.introspector(t)
		for _, format := range []string{"jwt", "opaque"} {
			c := e.Register(t, servertest.M{"scope": "read", "access_token_format": format})
			token, doomed := e.Token(t, c), e.Token(t, c) // and the connections are open
			for what, budget := range map[string]struct {
				least, most int
				do          func()
			}{
				"a token":                {2, 2, func() { e.Token(t, c) }},
				"own introspection":      {1, 1, func() { e.Introspect(t, c, token) }},
				"another's":              {1, 2, func() { e.Introspect(t, caller, token) }},
				"introspection of junk":  {1, 2, func() { e.Introspect(t, caller, "junk") }},
				"revocation":             {1, 3, func() { e.Revoke(t, c, doomed).Want(t, 200, "") }},
				"a failed authorization": {1, 1, func() { e.send(t, grantCC+"&scope=no", c.Basic()) }},
				"a failed authentication": {2, 4, func() {
					e.send(t, grantCC, servertest.Client{ID: c.ID, Secret: "wrong"}.Basic())
				}},
			} {
				cost := e.trips(t, budget.do)
				if got := total(cost); got < budget.least || got > budget.most {
					t.Errorf("%s: %s costs %d round trips %v, want %d to %d", format, what, got, cost, budget.least, budget.most)
				}
			}
		}
	})
}

func TestTokenReplicas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		one, two := newTokenEndpoint(t, b), newTokenEndpoint(t, b)
		caller := one.introspector(t)
		for _, format := range []string{"jwt", "opaque"} {
			for what, end := range revocationsAtOne {
				t.Run(format+" token "+what, func(t *testing.T) {
					c := one.Register(t, servertest.M{"scope": "read write", "access_token_format": format})
					token := one.Token(t, c)
					two.Secret(token)
					if !two.Active(t, caller, token) || !two.Active(t, c, token) {
						t.Fatal("the other replica does not know the token")
					}
					end(t, one, c, token)
					for i, e := range []tokenEndpoint{two, one} {
						if e.Active(t, caller, token) {
							t.Errorf("replica %d still says active", 2-i)
						}
					}
				})
			}
		}
	})
}

// revocationsAtOne are the ways in which an operator or a client revokes a token, done at one replica.
var revocationsAtOne = map[string]func(t *testing.T, e tokenEndpoint, c servertest.Client, token string){
	"revoked": func(t *testing.T, e tokenEndpoint, c servertest.Client, token string) {
		e.Revoke(t, c, token).Want(t, 200, "")
	},
	"disabled": func(t *testing.T, e tokenEndpoint, c servertest.Client, _ string) {
		e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"disabled": true}).Want(t, 200, "")
	},
	"disabled and enabled": func(t *testing.T, e tokenEndpoint, c servertest.Client, _ string) {
		e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"disabled": true}).Want(t, 200, "")
		e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"disabled": false}).Want(t, 200, "")
	},
	"deleted": func(t *testing.T, e tokenEndpoint, c servertest.Client, _ string) {
		e.Admin(t, "DELETE", "/admin/clients/"+c.ID, nil).Want(t, 204, "")
	},
	"registered again": func(t *testing.T, e tokenEndpoint, c servertest.Client, _ string) {
		e.Admin(t, "DELETE", "/admin/clients/"+c.ID, nil).Want(t, 204, "")
		e.Register(t, servertest.M{"client_id": c.ID, "scope": "read write"})
	},
	"all revoked": func(t *testing.T, e tokenEndpoint, c servertest.Client, _ string) {
		e.Admin(t, "POST", "/admin/clients/"+c.ID+"/revoke-tokens", nil).Want(t, 204, "")
	},
	"a scope taken away": func(t *testing.T, e tokenEndpoint, c servertest.Client, _ string) {
		e.Admin(t, "PATCH", "/admin/clients/"+c.ID, servertest.M{"scope": "read"}).Want(t, 200, "")
	},
}
