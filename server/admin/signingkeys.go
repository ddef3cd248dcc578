package admin

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/web"
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

// RotateSigningKey answers POST /admin/signing-keys/rotate.
func (a *Admin) RotateSigningKey(w http.ResponseWriter, r *http.Request, by audit.Actor) error {
	compromised, err := readCompromised(r)
	if err != nil {
		return err
	}
	if err := a.SigningKeys.Rotate(r.Context(), compromised, by); err != nil {
		return err
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
