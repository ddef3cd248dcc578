package api

import (
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/web"
)

type meUser struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Email      string         `json:"email"`
	Name       string         `json:"name"`
	Role       string         `json:"role"`
	CreatedAt  time.Time      `json:"created_at"`
	Credential credentialView `json:"credential"`
}

type meClient struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Credential credentialView `json:"credential"`
}

type credentialView struct {
	Type      string     `json:"type"`
	ID        string     `json:"id"`
	Name      *string    `json:"name,omitempty"` // of a key
	Scope     string     `json:"scope"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// Me answers GET /api/v1/users/me: who the credential speaks for, and what it is.
func (*API) Me(w http.ResponseWriter, _ *http.Request, who *bearer.Principal) error {
	if who.Client != nil {
		return web.JSON(w, http.StatusOK, meClient{"client", who.Client.ID, who.Client.Metadata.Name, tokenView(who)})
	}
	m := who.User.Metadata
	return web.JSON(w, http.StatusOK, meUser{
		"user", who.User.ID, m.Email, m.Name, who.User.Role(), web.Time(m.CreatedAt), keyView(who),
	})
}

func tokenView(who *bearer.Principal) credentialView {
	expires := time.Unix(who.Claims.Expires, 0).UTC()
	return credentialView{Type: "access_token", ID: who.Claims.ID, Scope: who.Scope(), ExpiresAt: &expires}
}

func keyView(who *bearer.Principal) credentialView {
	view := credentialView{Type: "api_key", ID: who.Key.ID, Name: &who.Key.Name, Scope: who.Scope()}
	if who.Key.ExpiresAt != 0 {
		expires := time.UnixMilli(who.Key.ExpiresAt).UTC()
		view.ExpiresAt = &expires
	}
	return view
}
