package admin

import "net/http"

// The handlers, as routes know them: each is guarded, and what it guards cannot be routed to.

// CreateClient answers POST /admin/clients, by the one answer that has the new secret in it.
func (a *Admin) CreateClient(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.createClient)(w, r)
}

// ListClients answers GET /admin/clients.
func (a *Admin) ListClients(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.listClients)(w, r)
}

// ShowClient answers GET /admin/clients/{id}.
func (a *Admin) ShowClient(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.showClient)(w, r)
}

// PatchClient answers PATCH /admin/clients/{id}, a JSON Merge Patch (RFC 7396).
func (a *Admin) PatchClient(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.patchClient)(w, r)
}

// DeleteClient answers DELETE /admin/clients/{id}.
func (a *Admin) DeleteClient(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.deleteClient)(w, r)
}

// RevokeTokens answers POST /admin/clients/{id}/revoke-tokens.
func (a *Admin) RevokeTokens(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.revokeTokens)(w, r)
}

// ListSecrets answers GET /admin/clients/{id}/secrets.
func (a *Admin) ListSecrets(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.listSecrets)(w, r)
}

// RotateSecret answers POST /admin/clients/{id}/secrets.
func (a *Admin) RotateSecret(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.rotateSecret)(w, r)
}

// ShowSecret answers GET /admin/clients/{id}/secrets/{secret_id}.
func (a *Admin) ShowSecret(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.showSecret)(w, r)
}

// EndSecret answers DELETE /admin/clients/{id}/secrets/{secret_id}.
func (a *Admin) EndSecret(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.endSecret)(w, r)
}

// SigningKeys answers GET /admin/signing-keys.
func (a *Admin) SigningKeys(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.signingKeys)(w, r)
}

// RotateSigningKey answers POST /admin/signing-keys/rotate.
func (a *Admin) RotateSigningKey(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.rotateSigningKey)(w, r)
}

// Audit answers GET /admin/audit, newest first.
func (a *Admin) Audit(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.listEvents)(w, r)
}
