package admin

import (
	"context"
	"net/http"

	"github.com/mintkeep/mintkeep/server/web"
)

// The actions, as the audit trail names them.
const (
	keyLeaked             = "key.leaked"
	secretLeaked          = "secret.leaked"
	tokenLeaked           = "token.leaked"
	signingKeyRotated     = "signing_key.rotated"
	signingKeyCompromised = "signing_key.compromised"
)

func (a *Admin) change(r *http.Request, what web.Act, makeIt func(context.Context) error) error {
	return web.Change(r, a.store, a.now(), what, makeIt)
}
