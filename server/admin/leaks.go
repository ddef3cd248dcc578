package admin

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// maxReport is how many credentials a report may have.
const maxReport = 1_000

// ReportLeaks answers POST /admin/keys/report: it revokes what was found in the wild. What was revoked, or may be,
// is recorded even if others could not be.
func (a *Admin) ReportLeaks(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	found, err := readReport(r)
	if err != nil {
		return err
	}
	presented := a.plausible(found)
	digests := make([]store.Digest, 0, len(presented))
	for d := range presented {
		digests = append(digests, d)
	}
	leaks, err := a.Store.RevokeLeaked(r.Context(), digests, a.Audit.Cause(by, store.LeakReason))
	var revoked, unknown []audit.Record
	active := map[store.Digest]bool{}
	for _, leak := range leaks {
		what := a.leaked(leak, presented[leak.Digest])
		if leak.Unknown {
			unknown = append(unknown, what)
		} else {
			revoked, active[leak.Digest] = append(revoked, what), true
		}
	}
	a.Audit.Revoked(r.Context(), by, revoked...)
	a.Audit.Attempted(r.Context(), by, unknown...)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, adminapi.LeakReport{Received: len(found), Active: len(active)})
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

// plausible are those that may be credentials of ours, or secrets that were imported, each once. The store need not be
// asked about the rest.
func (a *Admin) plausible(found []string) map[store.Digest]bearer.Presented {
	all := map[store.Digest]bearer.Presented{}
	for _, text := range found {
		switch p, plausible := bearer.ParseShape(text); {
		case plausible:
			all[p.Digest] = p
		case clients.MayBeImported(text):
			p.Digest = store.DigestOf(text)
			all[p.Digest] = p
		}
	}
	return all
}

// leaked is what the audit log is told of a credential that was revoked so: whose it was, and never what it was.
func (a *Admin) leaked(leak store.Leak, p bearer.Presented) audit.Record {
	switch leak.Kind {
	case store.KeyLeak:
		return audit.Record{Action: audit.KeyLeaked, Target: audit.KeyTarget(leak.KeyID), Detail: map[string]string{"user": leak.UserID}}
	case store.SecretLeak:
		return audit.Record{Action: audit.SecretLeaked, Target: audit.ClientTarget(leak.ClientID), Detail: map[string]string{"secret": leak.SecretID}}
	}
	what := audit.Record{Action: audit.TokenLeaked}
	if claims := a.Verifier.Issued(p, &store.Credential{Claims: leak.Claims}); claims != nil {
		what.Target, what.Detail = audit.ClientTarget(claims.ClientID), map[string]string{"token": claims.ID}
	}
	return what
}
