package dashboard

import (
	"errors"
	"net/http"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// docs is the documentation of this installation.
type docs struct {
	Issuer, Prefix string
	Scopes         []string
	TTL            string
}

// Docs answers GET /docs. It is public; a user who is signed in keeps the navigation.
func (d *Dashboard) Docs(w http.ResponseWriter, r *http.Request) error {
	web.SampleSuccess(r.Context())
	content := docs{d.config.Issuer, d.config.KeyPrefix, d.config.KeyScopes.Names(), lasting(d.config.TokenTTL)}
	p := page{Title: "Authentication", Section: "docs", Content: content}
	if cookie := d.cookie(r, sessionCookie); cookie != "" {
		_, user, err := d.store.Session(r.Context(), d.place.session(cookie))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			web.Note(r.Context(), "session", err.Error()) // the documentation is shown all the same
		}
		if user != nil {
			p.User, p.Form = user, d.forms.of(cookie)
		}
	}
	if p.User == nil {
		h := w.Header()
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Vary", "Cookie")
		h.Del("Pragma")
	}
	return d.show(w, http.StatusOK, "docs", p)
}
