package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"sync/atomic"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/audit"
)

// adminTokens are the digests of MINTKEEP_ADMIN_TOKEN and MINTKEEP_ADMIN_TOKEN_NEXT, which can be replaced while the server
// runs.
type adminTokens struct {
	configured atomic.Pointer[[2]*tokenDigest]
}

// tokenDigest is nil where no token is configured: then there is none to match.
type tokenDigest = [sha256.Size]byte

// replace takes the tokens of cfg, and tells which of the two are others than before.
func (a *adminTokens) replace(cfg *config.Config) (changed [2]bool) {
	fresh := &[2]*tokenDigest{digestOf(cfg.AdminToken), digestOf(cfg.AdminTokenNext)}
	if before := a.configured.Swap(fresh); before != nil {
		for i := range changed {
			changed[i] = (before[i] == nil) != (fresh[i] == nil) || fresh[i] != nil && *before[i] != *fresh[i]
		}
	}
	return changed
}

func digestOf(token config.Secret) *tokenDigest {
	if token == "" {
		return nil
	}
	digest := sha256.Sum256([]byte(token))
	return &digest
}

// actorOf is the actor who presented one of the two tokens. It compares digests, in constant time.
func (a *adminTokens) actorOf(ctx context.Context, presented string) (by audit.Actor, ok bool) {
	got, configured := sha256.Sum256([]byte(presented)), a.configured.Load()
	for i, actor := range []func(context.Context) audit.Actor{audit.AdminToken, audit.NextAdminToken} {
		if want := configured[i]; want != nil && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			by, ok = actor(ctx), true
		}
	}
	return by, ok
}
