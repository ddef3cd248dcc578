package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

type signingKeyView struct {
	ID          string     `json:"kid"`
	Algorithm   string     `json:"alg"`
	State       string     `json:"state"`
	CreatedAt   time.Time  `json:"created_at"`
	PublishedAt time.Time  `json:"published_at"`
	ActivatedAt *time.Time `json:"activated_at"`
	RetiredAt   *time.Time `json:"retired_at"`
	RemovedAt   *time.Time `json:"removed_at"`
}

func (a *Admin) signingKeys(w http.ResponseWriter, _ *http.Request, _ string) error {
	return a.showSigningKeys(w, http.StatusOK)
}

func (a *Admin) showSigningKeys(w http.ResponseWriter, status int) error {
	items := []signingKeyView{}
	for _, k := range a.ring.Keys() {
		items = append(items, signingKeyView{
			ID: k.ID, Algorithm: k.Algorithm, State: k.State,
			CreatedAt: web.Time(k.CreatedAt), PublishedAt: web.Time(k.PublishedAt),
			ActivatedAt: web.TimeOrNull(k.ActivatedAt), RetiredAt: web.TimeOrNull(k.RetiredAt), RemovedAt: web.TimeOrNull(k.RemoveAt),
		})
	}
	return web.JSON(w, status, web.Page[signingKeyView]{Items: items})
}

// A compromised key is a change and no end for the audit trail: what it does cannot be done while the
// store takes no writes.
func (a *Admin) rotateSigningKey(w http.ResponseWriter, r *http.Request, actor string) error {
	compromised, err := readCompromised(r)
	if err != nil {
		return err
	}
	if err := a.ring.Ready(); err != nil {
		return err
	}
	if err := a.published(); err != nil && !compromised {
		return a.notRotated(err)
	}
	what := web.Act{Actor: actor, Action: signingKeyRotated, Target: "signing-keys", Detail: a.keysBefore()}
	if compromised {
		what.Action = signingKeyCompromised
	}
	if err := a.change(r, what, func(ctx context.Context) error {
		return a.ring.Rotate(ctx, compromised)
	}); err != nil {
		return a.notRotated(err)
	}
	return a.showSigningKeys(w, http.StatusCreated)
}

func readCompromised(r *http.Request) (bool, error) {
	o, err := web.ReadObject(r)
	if err != nil || !o.Has("compromised") {
		return false, err
	}
	compromised, err := web.Decode[bool](o["compromised"], "true or false")
	if err != nil {
		return false, web.InvalidRequest("compromised: %v", err)
	}
	return compromised, nil
}

// published asks beforehand what the ring will decide, so that the trail does not tell of a rotation
// that was refused.
func (a *Admin) published() error {
	for _, k := range a.ring.Keys() {
		if until := k.PublishedAt.Add(signing.PromotableAfter); k.State == store.KeyNext && a.now().Before(until) {
			return &signing.NotPublishedError{Until: until}
		}
	}
	return nil
}

// keysBefore tells the trail which key was replaced by which.
func (a *Admin) keysBefore() map[string]string {
	detail := map[string]string{}
	for _, k := range a.ring.Keys() {
		switch k.State {
		case store.KeyActive:
			detail["replaced"] = k.ID
		case store.KeyNext:
			detail["promoted"] = k.ID
		}
	}
	return detail
}

func (a *Admin) notRotated(err error) error {
	var early *signing.NotPublishedError
	switch {
	case errors.As(err, &early):
		until := early.Until.UTC().Add(time.Second - 1).Truncate(time.Second) // never a moment too soon
		refused := web.Conflict("The next key has not been published for 10 minutes yet; it may sign from %s", until.Format(time.RFC3339))
		refused.RetryAfter = max(until.Sub(a.now()), time.Second)
		return refused
	case errors.Is(err, store.ErrConflict):
		return web.Conflict("The signing keys were rotated by somebody else at the same moment; look at them before repeating")
	}
	return err
}
