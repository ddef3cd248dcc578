package clients

import (
	"context"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Registry registers and changes clients. All fields but the last two are required.
type Registry struct {
	Store  *store.Store
	Config *config.Config
	Audit  *audit.Log
	Now    func() time.Time
	Offers Offers

	// CheckURI says what is wrong with the URL of a key set. nil: nothing.
	CheckURI func(uri string) error
	// CheckKeys fetches the key set at a URL, once before a client is registered with it, and says why no key of it can be
	// used. It does not keep to the deadline of ctx, which is that of the store. nil: the set is not fetched.
	CheckKeys func(ctx context.Context, uri string) error
}

// instant is the present as it is recorded and shown.
func (g *Registry) instant() time.Time { return web.Time(g.Now()) }

// record is an action on a client.
func record(action audit.Action, id string, detail map[string]string) audit.Record {
	return audit.Record{Action: action, Target: audit.ClientTarget(id), Detail: detail}
}
