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

// Me answers GET /api/v1/users/me: who the credential belongs to, and what it is.
func (a *API) Me(w http.ResponseWriter, r *http.Request) error {
	h, err := a.enter(w, r, "")
	if err != nil {
		return err
	}
	if h.Client != nil {
		return web.JSON(w, http.StatusOK, meClient{"client", h.Client.ID, h.Client.Metadata.Name, tokenView(h)})
	}
	m := h.User.Metadata
	return web.JSON(w, http.StatusOK, meUser{
		"user", h.User.ID, m.Email, m.Name, h.User.Role(), web.Time(m.CreatedAt), keyView(h),
	})
}

func tokenView(h *bearer.Holder) credentialView {
	expires := time.Unix(h.Claims.Expires, 0).UTC()
	return credentialView{Type: "access_token", ID: h.Claims.ID, Scope: h.Scope(), ExpiresAt: &expires}
}

func keyView(h *bearer.Holder) credentialView {
	view := credentialView{Type: "api_key", ID: h.Key.ID, Name: &h.Key.Name, Scope: h.Scope()}
	if h.Key.ExpiresAt != 0 {
		expires := time.UnixMilli(h.Key.ExpiresAt).UTC()
		view.ExpiresAt = &expires
	}
	return view
}
