package admin

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// maxReport is how many credentials a report may have.
const maxReport = 1_000

// reportView does not tell whose the live ones were: a report may come from outside.
type reportView struct {
	Received int `json:"received"`
	Live     int `json:"live"`
}

// reportLeaks ends what was found in the wild. Those that ended are recorded even if others did not.
func (a *Admin) reportLeaks(w http.ResponseWriter, r *http.Request, actor string) error {
	found, err := readReport(r)
	if err != nil {
		return err
	}
	shown := a.shown(found)
	digests := make([]store.Digest, 0, len(shown))
	for d := range shown {
		digests = append(digests, d)
	}
	now := a.instant()
	leaks, err := a.store.RevokeLeaked(r.Context(), digests, store.Cause{At: now, Actor: store.Actor{Name: actor}, Reason: "reported as leaked"})
	acts := make([]web.Act, len(leaks))
	for i, leak := range leaks {
		acts[i] = a.leaked(leak, shown[leak.Digest])
		acts[i].Actor = actor
	}
	web.Ended(r, a.store, now, acts...)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, reportView{len(found), len(leaks)})
}

func readReport(r *http.Request) ([]string, error) {
	o, err := web.ReadObject(r)
	if err != nil {
		return nil, err
	}
	if !o.Has("credentials") {
		return nil, web.InvalidRequest("credentials: is missing")
	}
	found, err := web.Decode[[]string](o["credentials"], "an array of strings")
	if err != nil {
		return nil, web.InvalidRequest("credentials: %v", err)
	}
	if len(found) == 0 || len(found) > maxReport {
		return nil, web.InvalidRequest("credentials: must have 1 to 1,000 strings")
	}
	return found, nil
}

// shown are those that may be credentials of ours, each once. The rest is not worth asking the store about.
func (a *Admin) shown(found []string) map[store.Digest]bearer.Shown {
	shown := map[store.Digest]bearer.Shown{}
	for _, s := range found {
		if t, plausible := a.verifier.Look(s); plausible {
			shown[t.Digest] = t
		}
	}
	return shown
}

// leaked is what the audit trail is told of a credential that ended so: whose it was, and never what it was.
func (a *Admin) leaked(leak store.Leak, t bearer.Shown) web.Act {
	switch leak.Kind {
	case store.KeyLeak:
		return web.Act{Action: keyLeaked, Target: keys.Target(leak.KeyID), Detail: map[string]string{"user": leak.UserID}}
	case store.SecretLeak:
		return web.Act{Action: secretLeaked, Target: clients.ClientTarget(leak.ClientID), Detail: map[string]string{"secret": leak.SecretID}}
	}
	act := web.Act{Action: tokenLeaked}
	if claims := a.verifier.Issued(t, &store.Credential{Claims: leak.Claims}); claims != nil {
		act.Target, act.Detail = clients.ClientTarget(claims.ClientID), map[string]string{"token": claims.ID}
	}
	return act
}
