package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// newKey is the page that shows a key, this once.
type newKey struct {
	Created  *keys.Created
	Previous *store.APIKey // that it succeeds
	Revoked  bool          // the previous one is
	Here     string        // where it can be tried

	shownOnce
}

// shownOnce is a secret or a link that a page shows, this once, and what the page calls it.
type shownOnce struct{ Label, Secret string }

func (d *Dashboard) showKey(w http.ResponseWriter, r *http.Request, in *session, created *keys.Created, previous *store.APIKey) error {
	content := newKey{Created: created, Previous: previous, Here: d.config.Issuer, shownOnce: shownOnce{"API key", created.Plain}}
	content.Revoked = previous != nil && !previous.ExpiresAt.IsZero() && !previous.ExpiresAt.After(d.now())
	return d.show(w, http.StatusOK, "keymade", in.page(r, "Your new API key", "keys", content))
}

// repeated is the page for a form that comes a second time.
type repeated struct {
	Where string // the result; empty: the first time is under way, or its outcome is unknown
	List  string // where a result would be listed
}

// once does what a form asks for, if it comes for the first time: a reload, a second click or another tab creates no
// second key. do returns the path of the result; empty if there is none.
func (d *Dashboard) once(w http.ResponseWriter, r *http.Request, in *session, form url.Values, do func() (where string, err error)) error {
	if form.Get("once") == "" {
		return web.InvalidRequest("The form is incomplete. Reload the page and try again")
	}
	idempotencyKey := store.DigestOf("once " + in.cookie + " " + form.Get("once"))
	first, where, err := d.store.ClaimIdempotencyKey(r.Context(), idempotencyKey)
	if err != nil {
		return err
	}
	if !first {
		title := "Already created"
		if where == "" {
			title = "Already submitted"
		}
		return d.show(w, http.StatusConflict, "already", in.page(r, title, in.section(r), repeated{where, listOf(r)}))
	}
	where, err = do()
	ctx, cancel := web.CleanUp(r.Context())
	defer cancel()
	d.store.CompleteIdempotencyKey(ctx, idempotencyKey, where)
	return err
}

// listOf is the list that has what a form creates.
func listOf(r *http.Request) string {
	if kind, operator := strings.CutPrefix(r.URL.Path, "/operator/"); operator {
		kind, _, _ = strings.Cut(kind, "/")
		return "/operator/" + kind
	}
	return "/settings"
}
