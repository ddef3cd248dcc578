package clients

import (
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Registry registers and changes clients. All fields are required.
type Registry struct {
	Store  *store.Store
	Config *config.Config
	Audit  *audit.Log
	Now    func() time.Time
	Offers Offers
}

// instant is the present as it is recorded and shown.
func (g *Registry) instant() time.Time { return web.Time(g.Now()) }

// record is an action on a client.
func record(action audit.Action, id string, detail map[string]string) audit.Record {
	return audit.Record{Action: action, Target: audit.ClientTarget(id), Detail: detail}
}
