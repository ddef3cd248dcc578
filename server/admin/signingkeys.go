package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// ListSigningKeys answers GET /admin/signing-keys.
func (a *Admin) ListSigningKeys(w http.ResponseWriter, _ *http.Request, _ audit.Actor) error {
	return a.showSigningKeys(w, http.StatusOK)
}

func (a *Admin) showSigningKeys(w http.ResponseWriter, status int) error {
	items := []adminapi.SigningKey{}
	for _, k := range a.Ring.Keys() {
		items = append(items, adminapi.SigningKey{
			ID: k.ID, Algorithm: k.Algorithm, State: k.State,
			CreatedAt: web.Time(k.CreatedAt), PublishedAt: web.Time(k.PublishedAt),
			ActivatedAt: web.TimeOrNull(k.ActivatedAt), RetiredAt: web.TimeOrNull(k.RetiredAt), RemovedAt: web.TimeOrNull(k.RemoveAt),
		})
	}
	return web.JSON(w, status, adminapi.Page[adminapi.SigningKey]{Items: items})
}

// RotateSigningKey answers POST /admin/signing-keys/rotate. The audit log treats compromised keys as a change, not as a
// revocation: while the store takes no writes, they cannot be replaced either.
func (a *Admin) RotateSigningKey(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	compromised, err := readCompromised(r)
	if err != nil {
		return err
	}
	if err := a.Ring.Ready(); err != nil {
		return err
	}
	if err := a.published(); err != nil && compromised == signing.NoKeys {
		return a.notRotated(err)
	}
	what := audit.Record{Action: audit.SigningKeyRotated, Target: audit.SigningKeysTarget, Detail: a.Ring.Affected(compromised)}
	if compromised != signing.NoKeys {
		what.Action = audit.SigningKeyCompromised
	}
	if err := a.Audit.Change(r.Context(), by, what, func(ctx context.Context) error {
		return a.Ring.Rotate(ctx, compromised)
	}); err != nil {
		return a.notRotated(err)
	}
	return a.showSigningKeys(w, http.StatusCreated)
}

// readCompromised reads true, false or "all".
func readCompromised(r *http.Request) (signing.Compromised, error) {
	o, err := web.ReadObject(r)
	if err != nil || !o.Has("compromised") {
		return signing.NoKeys, err
	}
	raw := o["compromised"]
	if text, err := web.Decode[string](raw, ""); err == nil && text == "all" {
		return signing.AllKeys, nil
	}
	current, err := web.Decode[bool](raw, "true, false or the string all")
	switch {
	case err != nil:
		return signing.NoKeys, web.InvalidRequest("compromised: %v", err)
	case current:
		return signing.CurrentKeys, nil
	}
	return signing.NoKeys, nil
}

// published asks beforehand what the ring will decide, so that the audit log has no rotation that was rejected.
func (a *Admin) published() error {
	for _, k := range a.Ring.Keys() {
		if until := k.PublishedAt.Add(signing.PromotableAfter); k.State == store.KeyNext && a.Now().Before(until) {
			return &signing.NotPublishedError{Until: until}
		}
	}
	return nil
}

func (a *Admin) notRotated(err error) error {
	var notPublished *signing.NotPublishedError
	switch {
	case errors.As(err, &notPublished):
		until := notPublished.Until.UTC().Add(time.Second - 1).Truncate(time.Second) // never a moment too soon
		early := web.Conflict("The next key has been published for less than 10 minutes; retry at %s", until.Format(time.RFC3339))
		early.RetryAfter = max(until.Sub(a.Now()), time.Second)
		return early
	case errors.Is(err, store.ErrConflict):
		return web.Conflict("Another rotation of the signing keys came first; list the keys before you retry")
	}
	return err
}
